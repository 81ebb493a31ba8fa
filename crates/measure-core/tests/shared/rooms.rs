//! Who may use whom: "no rung weighs itself" as the compiler sees it, and the order of this library's rooms.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

const PLATFORM: &str = "--filter-platform=x86_64-unknown-linux-gnu";

fn workspace() -> Metadata {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.toml");
    MetadataCommand::new()
        .manifest_path(manifest)
        // Packages of other platforms may not be on this machine.
        .other_options(["--offline", "--locked", PLATFORM].map(String::from))
        .exec()
        .expect("cargo metadata of this workspace")
}

/// Names of our packages.
fn names(metadata: &Metadata) -> BTreeSet<String> {
    let packages = metadata.workspace_packages().into_iter();
    packages.map(|p| p.name.to_string()).collect()
}

/// Names of all packages that `package` is linked with: dependencies of tests and builds aside.
fn linked_with(metadata: &Metadata, package: &str) -> BTreeSet<String> {
    let nodes = &metadata.resolve.as_ref().expect("resolved").nodes;
    let name = |id| metadata[id].name.to_string();
    let mut left: Vec<_> = nodes.iter().filter(|n| name(&n.id) == package).collect();
    assert_eq!(left.len(), 1, "one package is called {package}");
    let mut found = BTreeSet::new();
    while let Some(node) = left.pop() {
        let linked = node.deps.iter().filter(|dep| {
            dep.dep_kinds
                .iter()
                .any(|k| k.kind == DependencyKind::Normal)
        });
        for dep in linked {
            if found.insert(name(&dep.pkg)) {
                left.extend(nodes.iter().filter(|n| n.id == dep.pkg));
            }
        }
    }
    found
}

#[test]
fn no_driver_can_name_a_sampler() {
    let metadata = workspace();
    let mut drivers = names(&metadata);
    drivers.retain(|name| name.ends_with("-driver"));
    assert!(drivers.len() >= 4, "{drivers:?}");
    for driver in drivers {
        let linked = linked_with(&metadata, &driver);
        assert!(
            linked.contains("measure-core"),
            "{driver} has no measurement library"
        );
        for sampler in ["probes", "stats", "table", "report"] {
            assert!(
                !linked.contains(sampler),
                "{driver} is linked with {sampler}: it could weigh itself"
            );
        }
    }
}

#[test]
fn the_ground_depends_on_nothing_of_ours_and_each_tool_on_the_ground() {
    let metadata = workspace();
    let ours = names(&metadata);
    let own = |package: &str| -> BTreeSet<String> {
        linked_with(&metadata, package)
            .intersection(&ours)
            .cloned()
            .collect()
    };
    assert_eq!(own("measure-core"), BTreeSet::new());
    assert_eq!(own("stats"), BTreeSet::new());
    assert_eq!(own("table"), BTreeSet::new());
    assert_eq!(own("probes"), BTreeSet::from(["measure-core".to_owned()]));
    // Tables are made of records alone: what makes them cannot look at the host.
    let records_and_numbers = ["measure-core", "stats", "table"].map(str::to_owned);
    assert_eq!(own("report"), BTreeSet::from(records_and_numbers));
    for package in metadata.workspace_packages() {
        let has_program = package.targets.iter().any(cargo_metadata::Target::is_bin);
        let dir = package.manifest_path.parent().expect("a directory");
        assert_eq!(
            dir.file_name(),
            Some(package.name.as_str()),
            "directory = crate"
        );
        let place = dir.parent().and_then(|d| d.file_name()).expect("a place");
        // What a test runs beside the real program is not typed by anyone.
        let typed = has_program && package.name.as_str() != "driver-testkit";
        assert_eq!(
            place == "tools",
            typed,
            "{}: programs lie in tools/, libraries in crates/",
            package.name
        );
        if typed {
            assert!(
                own(&package.name).contains("measure-core"),
                "{} does not share the library",
                package.name
            );
        }
    }
}

/// Arrows between packages of ours, without those that others make superfluous, as lines of the drawing.
fn arrows(metadata: &Metadata) -> BTreeSet<String> {
    let packages = metadata.workspace_packages();
    let ours: BTreeSet<&str> = packages.iter().map(|p| p.name.as_str()).collect();
    let mut arrows = BTreeSet::new();
    for package in &packages {
        let direct: BTreeSet<&str> = package
            .dependencies
            .iter()
            .filter(|d| d.kind == DependencyKind::Normal && ours.contains(d.name.as_str()))
            .map(|d| d.name.as_str())
            .collect();
        let beyond: BTreeSet<String> = direct
            .iter()
            .flat_map(|d| linked_with(metadata, d))
            .collect();
        let drawn = direct.into_iter().filter(|d| !beyond.contains(*d));
        arrows.extend(drawn.map(|d| format!("{} --> {d}", package.name)));
    }
    arrows
}

#[test]
fn the_page_draws_the_crates_as_they_are() {
    let metadata = workspace();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/architecture.md");
    let page = fs::read_to_string(page).expect("docs/architecture.md");
    let drawn: BTreeSet<String> = page
        .lines()
        .map(str::trim)
        .filter(|line| line.contains(" --> "))
        .map(str::to_owned)
        .collect();
    let real = arrows(&metadata);
    let missing: Vec<_> = real.difference(&drawn).collect();
    let wrong: Vec<_> = drawn.difference(&real).collect();
    assert!(
        missing.is_empty() && wrong.is_empty(),
        "docs/architecture.md lacks {missing:#?}\nand draws {wrong:#?}"
    );
    for package in metadata.workspace_packages() {
        let row = format!("\n| `{}` | ", package.name);
        assert!(page.contains(&row), "docs/architecture.md has no{row}");
    }
}

fn sources(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir)
        .expect("readable")
        .flatten()
        .map(|e| e.path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                sources(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn rooms_use_only_those_before_them() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for (room, later) in [
        ("base", &["contract", "driver_kit"][..]),
        ("contract", &["driver_kit"][..]),
    ] {
        let files = sources(&src.join(room));
        assert!(files.len() > 3, "{room} has files");
        for file in files {
            let text = fs::read_to_string(&file).expect("readable");
            for name in later {
                assert!(
                    !text.contains(&format!("crate::{name}")),
                    "{} uses {name}",
                    file.display()
                );
            }
        }
    }
}
