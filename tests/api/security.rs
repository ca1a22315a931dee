//! The threat model names its tests: `docs/SECURITY.md` against the sources.

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

#[test]
fn every_line_of_the_threat_model_names_tests_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut code = String::new();
    for directory in ["src", "tests", "loadtest/src", "sim/src"] {
        sources(&root.join(directory), &mut code);
    }

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
