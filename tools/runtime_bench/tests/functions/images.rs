//! Images: brought as an OCI layout that is made here from nothing, as an archive of one, by `docker save`, and by name.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use driver_testkit::functions::{NO_MUSL, compile_native};
use driver_testkit::{Running, skipped};
use measure_core::base::exit::Exit;
use measure_core::base::home;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::home::{Home, rungs_here};

pub const HELLO: &str = "#include <stdio.h>\nint main(int n, char **a) { printf(\"hello from %s\\n\", n > 1 ? a[1] : \"an image\"); return 0; }\n";

/// An image of one layer with one program, as an OCI layout.
pub struct Layout {
    pub dir: PathBuf,
}

impl Layout {
    /// Of the program `program` for `architecture`, in the directory `name`.
    fn make(home: &Home, name: &str, architecture: &str, program: &Path) -> Self {
        let layout = Self {
            dir: home.place(name),
        };
        let mut layer = tar::Builder::new(Vec::new());
        let mut file = File::open(program).expect("compiled");
        layer.append_file("program", &mut file).expect("added");
        let layer = layer.into_inner().expect("an archive");
        let (layer_digest, layer) = layout.blob(&layer, "application/vnd.oci.image.layer.v1.tar");
        let config = json!({
            "architecture": architecture, "os": "linux", "config": { "Cmd": ["/program"] },
            "rootfs": { "type": "layers", "diff_ids": [layer_digest] }
        });
        let config = serde_json::to_vec(&config).expect("JSON");
        let (_, config) = layout.blob(&config, "application/vnd.oci.image.config.v1+json");
        let kind = "application/vnd.oci.image.manifest.v1+json";
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer] });
        let manifest = serde_json::to_vec(&manifest).expect("JSON");
        let (_, mut described) = layout.blob(&manifest, kind);
        described["platform"] = json!({ "os": "linux", "architecture": architecture });
        layout.index(&[described]);
        layout.write("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#);
        layout
    }

    /// With one of the C text `source`; `None`, with a word why, where it cannot be compiled.
    pub fn compile(test: &str, home: &Home, name: &str, source: &str) -> Option<Self> {
        let (from, program) = (home.write("program.c", source), home.place("program"));
        if !compile_native(&from, &program) {
            skipped(test, NO_MUSL);
            return None;
        }
        Some(Self::make(home, name, "amd64", &program))
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.dir.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        fs::write(path, bytes).expect("written");
    }

    fn blob(&self, bytes: &[u8], kind: &str) -> (String, Value) {
        let hex = hex::encode(Sha256::digest(bytes));
        self.write(&format!("blobs/sha256/{hex}"), bytes);
        let digest = format!("sha256:{hex}");
        let described = json!({ "mediaType": kind, "digest": digest, "size": bytes.len() });
        (digest, described)
    }

    fn index(&self, manifests: &[Value]) {
        let index = json!({ "schemaVersion": 2, "manifests": manifests });
        self.write("index.json", index.to_string().as_bytes());
    }

    pub fn read_index(&self) -> Value {
        let text = fs::read(self.dir.join("index.json")).expect("there");
        serde_json::from_slice(&text).expect("JSON")
    }

    /// The file of what `described` names.
    fn path_of(&self, described: &Value) -> PathBuf {
        let digest = described["digest"].as_str().expect("a digest");
        self.dir.join("blobs").join(digest.replace(':', "/"))
    }

    pub fn manifest(&self) -> Value {
        let path = self.path_of(&self.read_index()["manifests"][0]);
        serde_json::from_slice(&fs::read(path).expect("there")).expect("JSON")
    }

    /// The same as an archive.
    fn archive(&self, to: &Path) {
        let mut tar = tar::Builder::new(File::create(to).expect("a file"));
        tar.append_dir_all(".", &self.dir).expect("added");
        tar.finish().expect("written");
    }

    /// The same as `docker save` writes it.
    fn saved(&self, to: &Path) {
        let manifest = self.manifest();
        let entry = json!([{ "Config": "config.json", "RepoTags": null, "Layers": ["layer.tar"] }]);
        let mut tar = tar::Builder::new(File::create(to).expect("a file"));
        for (name, path) in [
            ("config.json", self.path_of(&manifest["config"])),
            ("layer.tar", self.path_of(&manifest["layers"][0])),
        ] {
            tar.append_path_with_name(path, name).expect("added");
        }
        let text = entry.to_string();
        let mut header = tar::Header::new_gnu();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, "manifest.json", text.as_bytes())
            .expect("added");
        tar.finish().expect("written");
    }
}

#[test]
fn a_layout_its_archive_and_a_saved_image_run_in_containers() {
    const TEST: &str = "an image of somebody's";
    let home = Home::make();
    let Some(layout) = Layout::compile(TEST, &home, "my image", HELLO) else {
        return;
    };
    let rungs = rungs_here(
        TEST,
        &home,
        &[
            ("docker-driver", "docker-none"),
            ("docker-driver", "docker-bridge"),
        ],
    );
    if rungs.is_empty() {
        return;
    }
    layout.archive(&home.place("oci.tar"));
    layout.saved(&home.place("saved.tar"));
    let all = format!("process,{}", rungs.join(","));
    for (image, args, printed) in [
        ("my image", "", "hello from an image"),
        ("oci.tar", "/program,them", "hello from them"),
        ("saved.tar", "", "hello from an image"),
    ] {
        let mut line = vec![
            "add",
            "mine/image",
            "--image",
            image,
            "--replace",
            "--rungs",
            &all,
        ];
        if !args.is_empty() {
            line.extend(["--args", args]);
        }
        let said = home.run(&line).expect(Exit::Ok);
        for rung in &rungs {
            said.ready(rung, printed);
        }
        let row = said.row("process");
        assert!(row.contains("cannot: mine/image has no native"), "{row}");
    }
    let (said, samples) = home.time("mine/image", rungs[0], 2);
    said.expect(Exit::Ok);
    assert!(samples.iter().any(|line| line.contains("mine/image")));
}

#[test]
fn layouts_that_cannot_run_here_are_refused() {
    const TEST: &str = "a wrong image";
    let home = Home::make();
    let refused = |image: &str, words: &str| {
        let said = home.run(&["add", "mine/x", "--image", image]);
        said.expect(Exit::Usage).says(words);
        assert!(!home.root().join("store/mine").exists(), "{image}");
        assert_eq!(home.left(), [""; 0], "{image}");
    };
    let Some(right) = Layout::compile(TEST, &home, "right", HELLO) else {
        return;
    };
    let program = home.place("program");
    let arm = Layout::make(&home, "arm", "arm64", &program);
    refused(
        "arm",
        "is an image for linux/arm64, containers here run linux/amd64",
    );
    let mut both = arm.read_index()["manifests"][0].clone();
    let one = both.clone();
    both["platform"]["architecture"] = json!("riscv64");
    arm.index(&[one, both]);
    refused(
        "arm",
        "none of its images is for linux/amd64 (it has linux/arm64, linux/riscv64)",
    );
    home.write("empty/x", "");
    refused("empty", "a directory without index.json, so no OCI layout");
    let index = right.read_index();
    let mut elsewhere = index["manifests"][0].clone();
    elsewhere["digest"] = json!("sha256:../../../etc/passwd");
    right.index(&[elsewhere]);
    refused("right", "`sha256:../../../etc/passwd` is no digest");
    right.index(&[index["manifests"][0].clone()]);
    let manifest = right.manifest();
    let config = right.path_of(&manifest["config"]);
    let text = fs::read_to_string(&config).expect("there");
    fs::write(&config, text.replace("/program", "/another")).expect("written");
    refused("right", "it is damaged");
    fs::write(&config, text).expect("written");
    let layer = right.path_of(&manifest["layers"][0]);
    let bytes = fs::read(&layer).expect("there");
    fs::write(&layer, &bytes[1..]).expect("written");
    refused("right", "it is damaged: blobs/sha256/");
    right.archive(&home.place("damaged.tar"));
    refused("damaged.tar", "it is damaged: blobs/sha256/");
    fs::remove_file(&layer).expect("there");
    refused("right", "it lacks its layer blobs/sha256/");
    // What people have beside images.
    fs::write(home.place("rootfs.tar"), bytes).expect("written");
    refused("rootfs.tar", "a root directory (`docker export`) is none");
    let mut gzip = Command::new("gzip");
    let packed = gzip.arg(home.place("rootfs.tar")).status();
    assert!(packed.is_ok_and(|status| status.success()));
    refused("rootfs.tar.gz", "it is packed by gzip: unpack it first");
}

#[test]
fn one_that_ends_at_once_or_cannot_start_is_told() {
    const TEST: &str = "an image that ends at once";
    let home = Home::make();
    let three = "int main(void) { return 3; }\n";
    if Layout::compile(TEST, &home, "handler/image", three).is_none() {
        return;
    }
    if rungs_here(TEST, &home, &[("docker-driver", "docker-none")]).is_empty() {
        return;
    }
    home.write(
        "handler/function.toml",
        "name = 'mine/gone'\nkind = 'handler'\nimage = 'image'\n",
    );
    home.run(&["add", "handler", "--rungs", "docker-none"])
        .expect(Exit::StartFailed)
        .says("mine/gone ended with exit code 3 before it had answered");
    let add = |args: &str| {
        let line = [
            "add",
            "mine/three",
            "--image",
            "handler/image",
            "--replace",
            "--rungs",
            "docker-none",
            "--args",
            args,
        ];
        home.run(&line)
    };
    let said = home.run(&[
        "add",
        "mine/three",
        "--image",
        "handler/image",
        "--rungs",
        "docker-none",
    ]);
    said.says("exit code 3");
    let (said, _) = home.time("mine/three", "docker-none", 1);
    said.expect(Exit::StartFailed)
        .says("it ends with exit code 3");
    add("/nowhere").expect(Exit::StartFailed).says("/nowhere");
    let layout = Layout {
        dir: home.place("handler/image"),
    };
    let config = layout.path_of(&layout.manifest()["config"]);
    let text = fs::read_to_string(&config).expect("there");
    fs::write(&config, text.replace("\"/program\"", "")).expect("written");
    layout.saved(&home.place("silent.tar"));
    let line = [
        "add",
        "mine/silent",
        "--image",
        "silent.tar",
        "--rungs",
        "docker-none",
    ];
    home.run(&line)
        .expect(Exit::Unavailable)
        .says("does not say what it runs (ENTRYPOINT, CMD), give that in its arguments");
}

#[test]
fn an_image_by_name_is_taken_from_an_engine_or_told_why_not() {
    const TEST: &str = "an image by name";
    let home = Home::make();
    if rungs_here(TEST, &home, &[("docker-driver", "docker-none")]).is_empty() {
        return;
    }
    let driver = Path::new(env!("CARGO_BIN_EXE_runtime_bench")).with_file_name("docker-driver");
    let mut command = Command::new(driver);
    command.env(home::HOME_VARIABLE, home.root()).args([
        "hold",
        "1",
        "--gated",
        "--rung",
        "docker-none",
    ]);
    let mut engine = Running::start(command);
    let scope = engine.scope();
    engine.until_ready();
    let word = |prefix: &str| {
        let at = scope.includes.find(prefix).expect(prefix);
        let end = |c: char| c.is_whitespace() || matches!(c, ',' | ';');
        let word = scope.includes[at..].split(end).next().expect("a word");
        word.trim_end_matches(':').to_owned()
    };
    let (host, image) = (word("unix://"), word("sha256:"));
    let add = |id: &str, image: &str| {
        home.run(&[
            "add",
            id,
            "--image",
            image,
            "--docker-host",
            &host,
            "--rungs",
            "docker-none",
        ])
    };
    add("mine/named", &image)
        .expect(Exit::Ok)
        .ready("docker-none", "");
    let said = add("mine/absent", "no/such:image").expect(Exit::Unavailable);
    said.says("`no/such:image` is no file, and ")
        .says("neither has it nor can pull it")
        .says("docker save");
    add("mine/absent", "No Name")
        .expect(Exit::Usage)
        .says("no name of an image");
    assert!(!home.function("mine/absent").exists());
    engine.end().expect(0).left_nothing();
    let said = home.run(&[
        "add",
        "mine/absent",
        "--image",
        "no/such:image",
        "--docker-host",
        "unix:///nowhere.sock",
    ]);
    said.expect(Exit::Unavailable)
        .says("no docker engine answers at unix:///nowhere.sock");
}
