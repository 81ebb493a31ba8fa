//! Snapshots in the store: taken once, and anew when what they were made of changes.

use std::fs;
use std::path::PathBuf;

use faaslet::store::{Codegen, Manifest, ManifestDir, SnapshotOptions};
use faaslet::{FaasletEngine, Store};
use measure_core::base::ids::FunctionId;
use tempfile::TempDir;

use crate::snapshot::{MEMORY, draws, engine, program};

struct InStore {
    dir: TempDir,
    store: Store,
    engine: FaasletEngine,
    id: FunctionId,
}

impl InStore {
    fn with(wasm: &[u8]) -> Self {
        let dir = TempDir::new().expect("a directory");
        let it = Self {
            store: Store::at(dir.path().join("store")),
            dir,
            engine: engine(),
            id: "demo/it".parse().expect("an id"),
        };
        it.store
            .upload(&it.engine, &it.id, wasm)
            .expect("installed");
        it
    }

    fn codegen(&self) -> Codegen {
        let options = self.store.snapshot_options(&self.id).expect("options");
        self.store
            .snapshot(&self.engine, &self.id, &options, false)
            .expect("a snapshot")
    }

    fn load(&self) -> Codegen {
        let found = self.store.load_snapshots(&self.engine, &self.id);
        found.expect("snapshots").codegen
    }

    fn files(&self, ending: &str) -> Vec<PathBuf> {
        let dir = self.store.root().join("demo/it");
        let entries = fs::read_dir(dir).expect("a directory");
        entries
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                name.starts_with("snapshot-") && name.ends_with(ending)
            })
            .collect()
    }
}

#[test]
fn a_snapshot_is_taken_once_and_anew_when_what_it_was_made_of_changes() {
    let it = InStore::with(&program(
        MEMORY,
        "(i32.store (i32.const 0) (i32.const 1))",
        "",
    ));
    assert_eq!(it.codegen(), Codegen::Compiled);
    assert_eq!(it.codegen(), Codegen::Present);
    assert_eq!(it.load(), Codegen::Present);
    // Another module.
    let other = program(MEMORY, "(i32.store (i32.const 0) (i32.const 2))", "");
    it.store
        .upload(&it.engine, &it.id, &other)
        .expect("installed");
    assert_eq!(it.load(), Codegen::Compiled);
    assert_eq!(it.load(), Codegen::Present);
    // Other grants.
    let texts = it.dir.path().join("texts");
    fs::create_dir(&texts).expect("a directory");
    let manifest = Manifest {
        dirs: vec![ManifestDir {
            host: "../../../texts".into(),
            guest: "/texts".to_owned(),
            writable: false,
        }],
        ..Manifest::default()
    };
    it.store.set_grants(&it.id, &manifest).expect("granted");
    let grants = it.store.grants(&it.id).expect("grants");
    assert_eq!(grants.args, ["demo/it"]);
    assert_eq!(grants.dirs[0].host, texts.canonicalize().expect("a path"));
    assert_eq!(it.load(), Codegen::Compiled);
    // Another file in a directory that it may read.
    fs::write(texts.join("new"), "x").expect("a file");
    assert_eq!(it.load(), Codegen::Compiled);
    assert_eq!(it.load(), Codegen::Present);
    // Lost and damaged ones.
    for ending in [".wasm", ".cwasm"] {
        let [file] = &it.files(ending)[..] else {
            panic!("one file: {:?}", it.files(ending));
        };
        fs::write(file, "damaged").expect("written");
        assert_eq!(it.load(), Codegen::Compiled, "{ending}");
        fs::remove_file(&it.files(ending)[0]).expect("removed");
        assert_eq!(it.load(), Codegen::Compiled, "{ending}");
    }
    fs::write(it.store.root().join("demo/it/snapshots.json"), "{").expect("written");
    assert_eq!(it.load(), Codegen::Compiled);
    assert_eq!((it.files(".wasm").len(), it.files(".cwasm").len()), (1, 1));
}

#[test]
fn several_snapshots_are_kept_each_of_its_own_initialisation() {
    let it = InStore::with(&draws());
    let options = SnapshotOptions {
        count: 3,
        ..SnapshotOptions::default()
    };
    let take = |renew| {
        it.store
            .snapshot(&it.engine, &it.id, &options, renew)
            .expect("snapshots")
    };
    assert_eq!(take(false), Codegen::Compiled);
    let first = it.files(".wasm");
    assert_eq!(first.len(), 3, "they differ, or they would have one name");
    assert_eq!(it.load(), Codegen::Present);
    assert_eq!(take(true), Codegen::Compiled);
    assert!(it.files(".wasm").iter().all(|file| !first.contains(file)));
    assert_eq!(it.files(".cwasm").len(), 3);
    // The next that is asked for without saying how many is as many again.
    assert_eq!(it.codegen(), Codegen::Present);
    let none = SnapshotOptions {
        count: 0,
        ..SnapshotOptions::default()
    };
    let error = it.store.snapshot(&it.engine, &it.id, &none, false);
    assert!(error.expect_err("refused").to_string().contains("1 to 64"));
}

#[test]
fn grants_that_make_no_sense_are_refused() {
    let it = InStore::with(&draws());
    let with_env = |name: &str| Manifest {
        env: [(name.to_owned(), String::new())].into(),
        ..Manifest::default()
    };
    for name in ["", "a=b", "a\0b"] {
        assert!(it.store.set_grants(&it.id, &with_env(name)).is_err());
    }
    let file = it.store.root().join("demo/it/grants.json");
    fs::write(&file, r#"{"dir": []}"#).expect("written");
    let error = it.store.grants(&it.id).expect_err("refused").to_string();
    assert!(
        error.contains("grants.json") && error.contains("dir"),
        "{error}"
    );
    fs::write(&file, r#"{"dirs": [{"host": "nowhere", "guest": "/"}]}"#).expect("written");
    let error = it.store.grants(&it.id).expect_err("refused").to_string();
    assert!(error.contains("nowhere"), "{error}");
}
