//! Images that are pulled by name: from a registry of the test's own on the loopback.

use std::fs;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use driver_testkit::{eventually, skipped};
use measure_core::base::exit::Exit;

use crate::home::{Home, rungs_here};
use crate::images::{HELLO, Layout};

/// A registry that serves what lies below a directory; ended when it is dropped.
struct Registry {
    process: Child,
    address: SocketAddr,
    root: PathBuf,
}

impl Registry {
    /// `None`, with a word why, where there is none.
    fn start(test: &str, home: &Home) -> Option<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        let root = home.place("registry/data");
        let config = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: '{}'}}}}\nhttp: {{addr: '{address}'}}\n",
            root.display()
        );
        let config = home.write("registry/config.yml", &config);
        let started = Command::new("docker-registry")
            .arg("serve")
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let process = match started {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                skipped(test, "no registry; apt-get install docker-registry");
                return None;
            }
            started => started.expect("it starts"),
        };
        let registry = Self {
            process,
            address,
            root: root.join("docker/registry/v2"),
        };
        eventually("the registry listens", || {
            TcpStream::connect(address).is_ok()
        });
        Some(registry)
    }

    fn link(&self, place: &str, hex: &str) {
        let link = self.root.join(place).join("link");
        fs::create_dir_all(link.parent().expect("a parent")).expect("made");
        fs::write(link, format!("sha256:{hex}")).expect("written");
    }

    fn blob(&self, hex: &str) -> PathBuf {
        let (two, _) = hex.split_at(2);
        self.root.join(format!("blobs/sha256/{two}/{hex}/data"))
    }

    /// Puts the image of `layout` into it as `name:tag`, as a push would; returns the digest of its manifest.
    fn put(&self, layout: &Layout, name: &str, tag: &str) -> String {
        let blobs = fs::read_dir(layout.dir.join("blobs/sha256")).expect("blobs");
        for blob in blobs.map(|entry| entry.expect("readable")) {
            let hex = blob.file_name().into_string().expect("a digest");
            let to = self.blob(&hex);
            fs::create_dir_all(to.parent().expect("a parent")).expect("made");
            fs::copy(blob.path(), to).expect("copied");
            self.link(&format!("repositories/{name}/_layers/sha256/{hex}"), &hex);
        }
        let digest = hex_of(&layout.read_index()["manifests"][0]);
        let manifests = format!("repositories/{name}/_manifests");
        self.link(&format!("{manifests}/revisions/sha256/{digest}"), &digest);
        for place in ["current".to_owned(), format!("index/sha256/{digest}")] {
            self.link(&format!("{manifests}/tags/{tag}/{place}"), &digest);
        }
        digest
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn hex_of(described: &serde_json::Value) -> String {
    let digest = described["digest"].as_str().expect("a digest");
    digest.trim_start_matches("sha256:").to_owned()
}

#[test]
fn an_image_is_pulled_by_its_tag_or_its_digest_and_then_runs() {
    const TEST: &str = "an image from a registry";
    let home = Home::make();
    let Some(layout) = Layout::compile(TEST, &home, "image", HELLO) else {
        return;
    };
    if rungs_here(TEST, &home, &[("docker-driver", "docker-none")]).is_empty() {
        return;
    }
    let Some(registry) = Registry::start(TEST, &home) else {
        return;
    };
    let digest = registry.put(&layout, "mine/hello", "1");
    let add = |reference: &str| {
        let image = format!("{}/mine/{reference}", registry.address);
        let line = ["add", "mine/pulled", "--image", &image, "--replace"];
        home.run(&[&line[..], &["--rungs", "docker-none"]].concat())
    };
    for reference in ["hello:1", &format!("hello@sha256:{digest}")] {
        let said = add(reference).expect(Exit::Ok);
        said.ready("docker-none", "hello from an image");
    }
    let (said, samples) = home.time("mine/pulled", "docker-none", 1);
    said.expect(Exit::Ok);
    assert!(samples.iter().any(|line| line.contains("mine/pulled")));
    for absent in ["hello:2", "hullo:1"] {
        let said = add(absent).expect(Exit::Unavailable);
        said.says("neither has it nor can pull it")
            .says("docker save");
    }
    // What is not what its digest says is not taken, and what was brought before stays.
    let other = HELLO.replace("hello", "damaged");
    let other = Layout::compile(TEST, &home, "other", &other).expect("as the first");
    registry.put(&other, "mine/damaged", "1");
    damage(&registry.blob(&hex_of(&other.manifest()["layers"][0])));
    let said = add("damaged:1").expect(Exit::Unavailable);
    said.says("neither has it nor can pull it");
    home.run(&["test", "mine/pulled", "--rungs", "docker-none"])
        .expect(Exit::Ok)
        .ready("docker-none", "hello from an image");
    assert_eq!(home.left(), [""; 0]);
}

/// Changes a byte of a file.
fn damage(path: &Path) {
    let mut bytes = fs::read(path).expect("readable");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    fs::write(path, bytes).expect("written");
}
