//! The threat model and the promises name their tests: `docs/SECURITY.md` and `docs/TRUST.md` against the sources.

use std::path::Path;

/// Reads every Rust file under a directory.
fn sources(directory: &Path, all: &mut String) {
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

/// Reads the sources in which a named test can stand.
fn all_sources(root: &Path) -> String {
    let mut code = String::new();
    for directory in ["src", "tests", "loadtest/src", "sim/src"] {
        sources(&root.join(directory), &mut code);
    }
    code
}

#[test]
fn every_promise_names_tests_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let code = all_sources(root);
    let trust = std::fs::read_to_string(root.join("docs/TRUST.md")).unwrap();

    let mut promises = 0;
    for line in trust.lines().filter(|line| line.starts_with("| **") || line.starts_with("| – ")) {
        let tests = line.trim_end_matches(" |").rsplit_once(" | ").unwrap().1;
        for name in tests.split('`').skip(1).step_by(2) {
            let is_path = name.contains(['.', '/']);
            let is_there = if is_path {
                ["tests", "src", "."].iter().any(|base| root.join(base).join(name).exists())
            } else {
                code.contains(&format!("fn {name}("))
            };
            assert!(is_there, "{name} in {line}");
        }
        promises += 1;
    }
    assert_eq!(promises, 17, "the table was read");
}

#[test]
fn every_line_of_the_threat_model_names_tests_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let code = all_sources(root);
    let model = std::fs::read_to_string(root.join("docs/SECURITY.md")).unwrap();
    let mut in_table = false;
    let mut lines = 0;
    for line in model.lines() {
        // Only tables whose last column is the tests'.
        in_table = line.starts_with('|') && (in_table || line.ends_with("| test |"));
        let rule = line.ends_with("| test |") || line.starts_with("| ---");
        if !in_table || rule {
            continue;
        }
        let tests = line.trim_end_matches(" |").rsplit_once(" | ").unwrap().1;
        if tests.starts_with("by construction: ") {
            continue;
        }
        for test in tests.split(", ") {
            let name = test.trim_matches('`');
            assert!(code.contains(&format!("fn {name}(")), "{name} in {line}");
        }
        lines += 1;
    }
    assert!(lines > 20, "the tables were read: {lines}");
}
