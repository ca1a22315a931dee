//! The house keeps its floors: no file names what ARCHITECTURE.md's map doesn't let its room name, and no files name one another in
//! a circle, but within one small folder.
//!
//! It reads the sources as text, formatted by rustfmt: `use` trees, and paths in the code. A name that a folder's `mod.rs` hands on is
//! followed to the file that has it. Tests are left out, since they may look at everything.
#![allow(clippy::unwrap_used, reason = "a test fails loudly")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A module's path from the crate's root, such as `["http", "routes", "seats"]`.
type Module = Vec<String>;

/// How many files a folder has at most whose files may name one another as they like: what one reads together.
const FOLDER_LEN_MAX: usize = 10;

/// The crate's sources.
struct House {
    /// Each file's text without its tests.
    texts: BTreeMap<Module, String>,
}

impl House {
    fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let mut texts = BTreeMap::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                if path.is_dir() {
                    if name != "tests" {
                        folders.push(path);
                    }
                } else if name != "tests" {
                    texts.insert(module_of(&root, &path), without_tests(&fs::read_to_string(path).unwrap()));
                }
            }
        }
        let only_tests: Vec<Module> =
            texts.iter().flat_map(|(module, text)| test_modules(module, text)).collect();
        texts.retain(|module: &Module, _| !only_tests.iter().any(|tests| module.starts_with(tests)));
        Self { texts }
    }

    /// Returns the files that each file names.
    fn arrows(&self) -> BTreeMap<&Module, BTreeSet<&Module>> {
        let named = |(from, text): (_, &String)| {
            let paths = paths_in(text).into_iter();
            let to = paths.filter_map(|path| self.file_of(&absolute(from, &path)?, 0));
            (from, to.filter(|to| *to != from).collect())
        };
        self.texts.iter().map(named).collect()
    }

    /// Finds the file that has what a path from the root names.
    fn file_of(&self, path: &[String], depth: usize) -> Option<&Module> {
        assert!(depth < 16, "{path:?} is handed on in a circle");
        let known = (0..=path.len()).rev().find(|&len| self.texts.contains_key(&path[..len]))?;
        let (module, text) = self.texts.get_key_value(&path[..known])?;
        let Some(name) = path.get(known) else { return Some(module) };

        // A folder's file may hand on what one of its files has.
        let handed_on =
            uses_in(text, Uses::HandedOn).into_iter().filter(|handed| handed.last() == Some(name));
        let inner = handed_on.filter_map(|handed| absolute(module, &handed)).find(|handed| {
            handed.len() > module.len() && handed.starts_with(module) && handed[..] != path[..=known]
        });
        match inner {
            Some(inner) => self.file_of(&inner, depth + 1),
            None => Some(module),
        }
    }
}

fn module_of(root: &Path, path: &Path) -> Module {
    let path = path.strip_prefix(root).unwrap().with_extension("");
    let mut module: Module = path.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    // The program is a crate beside the library; its `cli` is a room like any other.
    if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
        module.pop();
    }
    module
}

/// Returns the files that are there for tests alone.
fn test_modules(module: &Module, text: &str) -> Vec<Module> {
    let declared = text.split("#[cfg(test)]\n").skip(1).filter_map(|rest| {
        let line = rest.lines().next()?.trim_end_matches(';');
        line.split_once("mod ").map(|(_, name)| [module.clone(), vec![name.to_owned()]].concat())
    });
    declared.collect()
}

/// Leaves the comments out, and what stands behind a file's tests.
fn without_tests(text: &str) -> String {
    let text = text.split("\n#[cfg(test)]\nmod tests {").next().unwrap();
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    code.fold(String::new(), |text, line| text + line + "\n")
}

/// Returns the paths of all `use` statements.
fn uses_in(text: &str, which: Uses) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    let mut begun: Option<String> = None;
    for line in text.lines() {
        let line = line.trim();
        let private = line.strip_prefix("use ");
        let public = line
            .strip_prefix("pub")
            .and_then(|rest| rest.split_once(" use "))
            .filter(|(to, _)| to.is_empty() || to.starts_with('('));
        let opens = match which {
            Uses::Private => private,
            Uses::HandedOn => public.map(|(_, tree)| tree),
        };
        let tree = match (begun.take(), opens) {
            (Some(begun), _) => begun + line,
            (None, Some(tree)) => tree.to_owned(),
            (None, None) => continue,
        };
        match tree.strip_suffix(';') {
            Some(tree) => spread(&[], tree, &mut paths),
            None => begun = Some(tree),
        }
    }
    paths
}

/// Which `use` statements.
#[derive(Clone, Copy)]
enum Uses {
    /// Those for the file itself.
    Private,
    /// Those that hand a name on.
    HandedOn,
}

/// Adds the paths of a tree such as `a::{b, c::{self, d as e}}`.
fn spread(before: &[String], tree: &str, paths: &mut Vec<Vec<String>>) {
    let mut path = before.to_vec();
    let mut rest = tree.trim();
    while let Some((segment, behind)) =
        rest.split_once("::").filter(|(segment, _)| !segment.contains(['{', ',']))
    {
        path.push(segment.to_owned());
        rest = behind;
    }
    let Some(inner) = rest.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        let name = rest.split(" as ").next().unwrap().trim();
        if name != "self" || path.is_empty() {
            path.push(name.to_owned());
        }
        return paths.push(path);
    };
    let (mut depth, mut from) = (0, 0);
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                spread(&path, &inner[from..at], paths);
                from = at + 1;
            }
            _ => {}
        }
    }
    if !inner[from..].trim().is_empty() {
        spread(&path, &inner[from..], paths);
    }
}

/// Returns the paths that a file names: in `use` statements, and in its code.
fn paths_in(text: &str) -> Vec<Vec<String>> {
    let mut paths = uses_in(text, Uses::Private);
    let code: Vec<&str> = text.lines().filter(|line| !line.contains("use ")).collect();
    let text = code.join("\n");
    for start in ["crate::", "super::", "onsale::"] {
        for (at, _) in text.match_indices(start) {
            // A longer name, or who may see something.
            let before = &text[..at];
            if before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
                || before.ends_with("(in ")
            {
                continue;
            }
            let path =
                text[at..].split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).next().unwrap();
            paths.push(path.trim_end_matches(':').split("::").map(str::to_owned).collect());
        }
    }
    paths
}

/// Returns a path from the crate's root; nothing for another crate's.
fn absolute(from: &Module, path: &[String]) -> Option<Vec<String>> {
    let mut rest = path;
    let mut base = match rest.first()?.as_str() {
        "crate" | "onsale" => {
            rest = &rest[1..];
            Vec::new()
        }
        "self" => {
            rest = &rest[1..];
            from.clone()
        }
        _ => from.clone(),
    };
    while rest.first().is_some_and(|segment| segment == "super") {
        base.pop()?;
        rest = &rest[1..];
    }
    base.extend(rest.iter().cloned());
    Some(base)
}

fn shown(module: &Module) -> String {
    if module.is_empty() { "lib".to_owned() } else { module.join("/") }
}

/// Returns the room of a file: its folder at the top of the sources, or the file itself there.
fn room(module: &Module) -> String {
    module.first().map_or_else(|| "lib".to_owned(), Clone::clone)
}

/// Returns what each room may name, from the table of ARCHITECTURE.md.
fn map() -> BTreeMap<String, BTreeSet<String>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, table) = page.split_once("| room | may name |\n| --- | --- |\n").expect("the map is a table");
    let rows = table.lines().take_while(|line| line.starts_with('|'));
    let quoted = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let mut map = BTreeMap::new();
    for row in rows {
        let (rooms, may_name) = row.trim_matches('|').split_once('|').unwrap();
        let may_name: BTreeSet<String> = quoted(may_name).into_iter().collect();
        for room in quoted(rooms) {
            assert!(map.insert(room.clone(), may_name.clone()).is_none(), "{room} stands twice");
        }
    }
    map
}

#[test]
fn every_room_names_only_what_the_map_lets_it() {
    let (house, map) = (House::read(), map());
    let (mut wrong, mut unused) = (Vec::new(), map.clone());
    for (from, to) in house.arrows() {
        // The program's beginning and the library's map say what there is.
        if ["lib", "main"].contains(&room(from).as_str()) {
            continue;
        }
        for to in to.into_iter().filter(|to| room(to) != room(from)) {
            let may_name = map.get(&room(from)).unwrap_or_else(|| panic!("{} isn't on the map", room(from)));
            if may_name.contains(&room(to)) {
                unused.get_mut(&room(from)).unwrap().remove(&room(to));
            } else {
                wrong.push(format!("{} names {}", shown(from), shown(to)));
            }
        }
    }
    assert!(wrong.is_empty(), "against the map of ARCHITECTURE.md:\n{}", wrong.join("\n"));
    unused.retain(|_, rooms| !rooms.is_empty());
    assert!(unused.is_empty(), "on the map, and nobody's any more: {unused:?}");
}

#[test]
fn no_files_name_one_another_in_a_circle_but_within_a_small_folder() {
    let house = House::read();
    let arrows = house.arrows();
    let mut wrong = Vec::new();
    for circle in circles(&arrows) {
        let folder = |module: &Module| {
            let is_folder =
                house.texts.keys().any(|other| other.len() > module.len() && other.starts_with(module));
            let len = if is_folder { module.len() } else { module.len() - 1 };
            module[..len].to_vec()
        };
        let first = folder(circle[0]);
        let in_it = |file: &Module| file.starts_with(&first) && file.len() <= first.len() + 1;
        let folder_len = house.texts.keys().filter(|file| in_it(file)).count();
        if circle.iter().all(|file| in_it(file)) && folder_len <= FOLDER_LEN_MAX {
            continue;
        }
        let within = |from: &Module| {
            let to = arrows[from].iter().filter(|to| circle.contains(*to)).map(|to| shown(to));
            format!("  {} names {}", shown(from), to.collect::<Vec<_>>().join(", "))
        };
        wrong.push(circle.iter().map(|file| within(file)).collect::<Vec<_>>().join("\n"));
    }
    assert!(wrong.is_empty(), "circles:\n{}", wrong.join("\n\n"));
}

#[test]
fn routes_name_no_sibling() {
    let house = House::read();
    let mut wrong = Vec::new();
    for (from, to) in house.arrows() {
        let resource = |file: &Module| {
            file.strip_prefix(&["http".to_owned(), "routes".to_owned()])
                .and_then(|rest| rest.first().cloned())
        };
        let Some(own) = resource(from) else { continue };
        let others = to.into_iter().filter(|to| resource(to).is_some_and(|other| other != own));
        wrong.extend(others.map(|to| format!("{} names {}", shown(from), shown(to))));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn trees_paths_and_circles_are_read() {
    let text = "use a::{self, b::{c, d as e},\n    f};\npub(in crate::x) use self::g::H;\nfn k() { crate::l::m() }\n";
    let path = |text: &str| text.split("::").map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(uses_in(text, Uses::Private), ["a", "a::b::c", "a::b::d", "a::f"].map(path));
    assert_eq!(uses_in(text, Uses::HandedOn), ["self::g::H"].map(path));
    assert!(paths_in(text).contains(&path("crate::l::m")));
    assert_eq!(absolute(&path("x::y"), &path("super::z::W")), Some(path("x::z::W")));

    let [a, b, c, d] = ["a", "b", "c", "d"].map(path);
    let to = |modules: &[&'static Vec<String>]| modules.iter().copied().collect::<BTreeSet<_>>();
    let [a, b, c, d]: [&'static Vec<String>; 4] = [a, b, c, d].map(|module| &*Box::leak(Box::new(module)));
    let arrows = BTreeMap::from([(a, to(&[b])), (b, to(&[c])), (c, to(&[b, d])), (d, to(&[]))]);
    assert_eq!(circles(&arrows), [vec![b, c]]);
}

/// Returns the sets of files that name one another, directly or by others (Tarjan, "Depth-first search and linear graph algorithms", 1972).
fn circles<'h>(arrows: &BTreeMap<&'h Module, BTreeSet<&'h Module>>) -> Vec<Vec<&'h Module>> {
    let mut walk = Walk {
        arrows,
        numbers: BTreeMap::new(),
        lowest: BTreeMap::new(),
        path: Vec::new(),
        found: Vec::new(),
    };
    for file in arrows.keys() {
        if !walk.numbers.contains_key(file) {
            walk.visit(file);
        }
    }
    walk.found
}

struct Walk<'a, 'h> {
    arrows: &'a BTreeMap<&'h Module, BTreeSet<&'h Module>>,
    /// The files by when they were come to.
    numbers: BTreeMap<&'h Module, usize>,
    /// The lowest number that each leads back to.
    lowest: BTreeMap<&'h Module, usize>,
    path: Vec<&'h Module>,
    found: Vec<Vec<&'h Module>>,
}

impl<'h> Walk<'_, 'h> {
    fn visit(&mut self, file: &'h Module) {
        let number = self.numbers.len();
        self.numbers.insert(file, number);
        self.path.push(file);
        let mut lowest = number;

        for to in &self.arrows[file] {
            if !self.numbers.contains_key(to) {
                self.visit(to);
                lowest = lowest.min(self.lowest[to]);
            } else if self.path.contains(to) {
                lowest = lowest.min(self.numbers[to]);
            }
        }
        self.lowest.insert(file, lowest);

        if lowest == number {
            let from = self.path.iter().position(|other| *other == file).unwrap();
            let circle = self.path.split_off(from);
            if circle.len() > 1 {
                self.found.push(circle);
            }
        }
    }
}
