//! What is refused, with its message, and that nothing of it is kept.

use std::fs;

use measure_core::base::exit::Exit;

use crate::home::Home;

#[track_caller]
fn refused(home: &Home, code: Exit, arguments: &[&str], words: &str) {
    let all: Vec<&str> = ["add"].iter().chain(arguments).copied().collect();
    home.run(&all).expect(code).says(words);
    assert!(!home.root().join("store/mine").exists(), "{arguments:?}");
    assert_eq!(home.left(), [""; 0], "{arguments:?}");
}

#[test]
fn wrong_descriptions_are_refused_with_advice() {
    let home = Home::make();
    let script = home.write("run.sh", "#!/bin/sh\n");
    let script = script.to_string_lossy();
    home.write("empty/x", "");
    home.write("unknown/function.toml", "name = 'mine/x'\nnatvie = 'x'\n");
    home.write("nameless/function.toml", "native = 'x'\n");
    home.write("whole/function.toml", "name = 'mine/x'\nnative = 'x'\n");
    let cases: [(&[&str], &str); 16] = [
        (&["hello"], "user/function"),
        (
            &["mine/hello"],
            "--native, --wasm, --python, --image or --source",
        ),
        (&["mine/hello", "--native", "nothing-here"], "nothing-here"),
        (
            &["mine/hello", "--native", &script],
            "is a script: name what runs it (--interpreter",
        ),
        (
            &["mine/hello", "--native", "run.sh", "--source", "x.c"],
            "given twice",
        ),
        (
            &["mine/hello", "--wasm", "run.sh", "--env", "novalue"],
            "NAME=VALUE",
        ),
        (
            &["mine/hello", "--native", "run.sh", "--network", "here"],
            "HOST:PORT",
        ),
        (
            &["mine/hello", "--native", "run.sh", "--output-at", "out"],
            "absolute path",
        ),
        (
            &["mine/hello", "--native", "run.sh", "--varies", "("],
            "no regular expression",
        ),
        (
            &["mine/hello", "--native", "run.sh", "--timeout", "0"],
            "timeout_s",
        ),
        (
            &["mine/hello", "--source", "empty"],
            "neither C, C++ nor a Cargo package",
        ),
        (
            &["mine/hello", "--source", "run.sh"],
            "no source that is known",
        ),
        (&["unknown"], "did you mean `native`?"),
        (
            &["whole", "--timeout", "3"],
            "says what it is, so --timeout is not taken",
        ),
        (
            &["whole", "--files", "empty"],
            "says what it is, so --files is not taken",
        ),
        (&["nameless"], "what the function is to be called"),
    ];
    for (arguments, words) in cases {
        let missing = arguments.contains(&"nothing-here");
        let code = if missing { Exit::Failed } else { Exit::Usage };
        refused(&home, code, arguments, words);
    }
}

#[test]
fn files_of_another_machine_world_or_kind_are_named() {
    let home = Home::make();
    let mut elf = fs::read("/proc/self/exe").expect("this test");
    elf[18..20].copy_from_slice(&183_u16.to_le_bytes());
    fs::write(home.place("arm"), &elf).expect("written");
    refused(
        &home,
        Exit::Usage,
        &["mine/x", "--native", "arm"],
        "built for AArch64 (64 bit), this host is x86-64",
    );
    fs::write(home.place("noloader"), other_loader()).expect("written");
    refused(
        &home,
        Exit::Usage,
        &["mine/x", "--native", "noloader"],
        "/lib64/ld-linux-x86-64.so.9, which is not on this host",
    );
    fs::write(home.place("text.wasm"), "hello").expect("written");
    let said = home.run(&["add", "mine/x", "--wasm", "text.wasm"]);
    assert_ne!(said.code, 0);
    said.says("text.wasm");
    for (import, words, world) in [
        (
            r#"(import "env" "emscripten_resize_heap" (func))"#,
            "env.emscripten_resize_heap",
            "link it by -sSTANDALONE_WASM",
        ),
        (
            r#"(import "wasi_unstable" "fd_write" (func))"#,
            "wasi_unstable.fd_write",
            "the preview of WASI before the first",
        ),
    ] {
        let module =
            format!("(module {import} (memory (export \"memory\") 1) (func (export \"_start\")))");
        home.write("world.wat", &module);
        let said = home.run(&["add", "mine/x", "--wasm", "world.wat"]);
        assert_ne!(said.code, 0, "{import}");
        said.says("error: world.wat: mine/x is refused")
            .says(words)
            .says("only the functions of wasi_snapshot_preview1 are")
            .says(world);
    }
    home.write("reactor.wat", "(module (memory (export \"memory\") 1))");
    let said = home.run(&["add", "mine/x", "--wasm", "reactor.wat"]);
    assert_ne!(said.code, 0);
    said.says("a module must export `_start`");
    home.write("dir/link-to", "x");
    std::os::unix::fs::symlink("/etc/passwd", home.place("dir/link")).expect("a link");
    fs::copy("/bin/true", home.place("true")).expect("copied");
    refused(
        &home,
        Exit::Usage,
        &["mine/x", "--native", "true", "--files", "dir"],
        "link is neither file nor directory",
    );
    assert_eq!(home.left(), [""; 0]);
}

/// This test's own executable, to be loaded by one that is nowhere.
fn other_loader() -> Vec<u8> {
    let mut own = fs::read("/bin/true").expect("a program");
    let name = b"/lib64/ld-linux-x86-64.so.2\0";
    let at = own
        .windows(name.len())
        .position(|window| window == name)
        .expect("its loader");
    own[at + name.len() - 2] = b'9';
    own
}

#[test]
fn a_source_that_does_not_compile_says_what_the_compiler_said() {
    const TEST: &str = "a source that does not compile";
    let Some(home) = Home::with_compilers(TEST) else {
        return;
    };
    home.write("bad.c", "int main(void) { return undeclared; }\n");
    refused(
        &home,
        Exit::Usage,
        &["mine/x", "--source", "bad.c"],
        "use of undeclared identifier",
    );
    // What WASI has not is told by the compiler of that side.
    home.write(
        "fork.c",
        "#include <unistd.h>\nint main(void) { return fork(); }\n",
    );
    refused(
        &home,
        Exit::Usage,
        &["mine/x", "--source", "fork.c"],
        "does not compile it to Wasm",
    );
}

#[test]
fn images_that_cannot_run_here_are_refused() {
    let home = Home::make();
    let image = |architecture: &str| {
        let config = format!(r#"{{"os":"linux","architecture":"{architecture}"}}"#);
        let manifest = r#"[{"Config":"config.json","Layers":[],"RepoTags":["x:1"]}]"#;
        let mut tar = tar::Builder::new(Vec::new());
        for (name, text) in [("manifest.json", manifest), ("config.json", &config)] {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, text.as_bytes())
                .expect("added");
        }
        tar.into_inner().expect("an archive")
    };
    fs::write(home.place("arm.tar"), image("arm64")).expect("written");
    refused(
        &home,
        Exit::Usage,
        &["mine/x", "--image", "arm.tar"],
        "is an image for linux/arm64, containers here run linux/amd64",
    );
    home.write("text.tar", "hello");
    refused(
        &home,
        Exit::Usage,
        &["mine/x", "--image", "text.tar"],
        "is no image",
    );
    let pipe = home.place("pipe.tar");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    refused(
        &home,
        Exit::Failed,
        &["mine/x", "--image", "pipe.tar"],
        "it is no file",
    );
}
