//! What a function is given, on every rung the same, and what it answers.

use measure_core::base::exit::Exit;

use crate::home::{Home, LIGHT, ONE_OF_EACH, rungs_here};

/// Prints what it was given, and writes a file.
const TELLS: &str = r#"
#include <stdio.h>
#include <stdlib.h>
int main(int argc, char **argv)
{
    char text[64] = "";
    for (int i = 1; i < argc - 2; i++)
        printf("[%s]", argv[i]);
    printf(" %s", getenv("WHO") ? getenv("WHO") : "nobody");
    FILE *file = fopen(argv[argc - 2], "r");
    if (!file || !fgets(text, sizeof text, file))
        return 3;
    printf(" %s", text);
    if (!fgets(text, sizeof text, stdin))
        return 4;
    printf(" %s", text);
    file = fopen(argv[argc - 1], "w");
    if (!file)
        return 5;
    fprintf(file, "written\n");
    return fclose(file);
}
"#;

const TOML: &str = r#"
name = "mine/tells"
source = "tells.c"
args = ["a b", "{x}", "{files}/in/file", "{output}/out.txt"]
stdin = "std in"
files = "da ta"
output_at = "/made"
[env]
WHO = "it's me"
[expect]
stdout = "[a b][{x}] it's me from a file\n from stdin\n"
exit_code = 0
[expect.files]
"out.txt" = "written\n"
"#;

fn directory(home: &Home) {
    home.write("tells/tells.c", TELLS);
    home.write("tells/std in", "from stdin\n");
    home.write("tells/da ta/in/file", "from a file\n");
    home.write("tells/function.toml", TOML);
}

#[test]
fn arguments_environment_input_and_files_are_the_same_everywhere() {
    const TEST: &str = "what a function is given";
    let Some(home) = Home::with_compilers(TEST) else {
        return;
    };
    directory(&home);
    let rungs = rungs_here(
        TEST,
        &home,
        &[
            ("process-driver", "process"),
            ("process-driver", "native"),
            ("process-driver", "runc"),
            ("faasm-driver", "wasm"),
            ("faasm-driver", "faaslet"),
            ("faasm-driver", "faaslet-pooled"),
            ("faasm-driver", "proto-faaslet"),
            ("docker-driver", "docker-none"),
        ],
    );
    let said = home
        .run(&["add", "tells", "--rungs", &rungs.join(",")])
        .expect(Exit::Ok);
    for rung in &rungs {
        said.ready(rung, "[a b][{x}] it's me from a file");
    }
    let again = home
        .run(&["test", "mine/tells", "--rungs", "process"])
        .expect(Exit::Ok);
    again.ready("process", "from stdin");
    let said = home.run(&["add", "tells"]).expect(Exit::Usage);
    said.says("stays as it is: --replace");
}

#[test]
fn command_lines_that_run_wasm_pass_on_arguments_and_environment() {
    const TEST: &str = "what a Wasm runtime passes on";
    let Some(home) = Home::with_compilers(TEST) else {
        return;
    };
    let runtimes = [
        "node",
        "wasmtime",
        "wasmer",
        "wamr",
        "workerd",
        "workerd-worker",
    ];
    let runtimes = runtimes.map(|rung| ("process-driver", rung));
    let mut rungs = rungs_here(TEST, &home, &LIGHT[..1]);
    rungs.extend(rungs_here(TEST, &home, &runtimes));
    home.write("says.c", "#include <stdio.h>\n#include <stdlib.h>\nint main(int n, char **a)\n{\n    for (int i = 1; i < n; i++)\n        printf(\"[%s]\", a[i]);\n    printf(\" %s %s\\n\", getenv(\"WHO\"), getenv(\"PATH\") ? \"and the host's\" : \"alone\");\n}\n");
    let said = home.run(&[
        "add",
        "mine/says",
        "--source",
        "says.c",
        "--arg",
        "a b",
        "--arg",
        "x=y",
        "--arg=--v",
        "--env",
        "WHO=k=v",
        "--rungs",
        &rungs.join(","),
    ]);
    let said = said.expect(Exit::Ok);
    for rung in &rungs {
        said.ready(rung, "[a b][x=y][--v] k=v alone");
    }
}

#[test]
fn a_rung_that_answers_otherwise_is_told_and_not_timed() {
    const TEST: &str = "another answer";
    let Some(home) = Home::with_compilers(TEST) else {
        return;
    };
    let rungs = rungs_here(TEST, &home, &LIGHT);
    if rungs.len() < 2 {
        return;
    }
    home.write("side.c", "#include <stdio.h>\nint main(void)\n{\n#ifdef __wasm__\n    puts(\"line\\nwasm\");\n#else\n    puts(\"line\\nnative\");\n#endif\n}\n");
    let said = home.run(&[
        "add",
        "mine/side",
        "--source",
        "side.c",
        "--rungs",
        "process,wasm",
    ]);
    let said = said.expect(Exit::StartFailed);
    said.ready("process", "line native");
    let row = said.row("wasm");
    assert!(
        row.contains("in line 2: `wasm` instead of `native` as on process"),
        "{row}"
    );
    let (said, samples) = home.time("mine/side", "process,wasm", 1);
    said.expect(Exit::StartFailed)
        .says("another answer: it wrote in line 2");
    let starts = |rung: &str| {
        let of_rung = |l: &&String| {
            l.contains(&format!("\"rung\":\"{rung}\""))
                && l.contains("\"measure\":\"back-to-back\"")
        };
        samples.iter().filter(of_rung).count()
    };
    assert!(starts("process") > 0);
    assert_eq!(starts("wasm"), 0);
}

#[test]
fn what_varies_by_nature_has_to_be_said() {
    const TEST: &str = "what varies";
    let Some(home) = Home::with_compilers(TEST) else {
        return;
    };
    let rungs = rungs_here(TEST, &home, &LIGHT).join(",");
    home.write("now.c", "#include <stdio.h>\n#include <time.h>\nint main(void)\n{\n    struct timespec now;\n    clock_gettime(CLOCK_REALTIME, &now);\n    printf(\"drawn %ld\\n\", now.tv_nsec);\n}\n");
    let said = home.run(&["add", "mine/now", "--source", "now.c", "--rungs", &rungs]);
    said.expect(Exit::StartFailed)
        .says("answers differently each time")
        .says("--varies");
    let said = home.run(&[
        "add",
        "mine/now",
        "--source",
        "now.c",
        "--rungs",
        &rungs,
        "--replace",
        "--varies",
        "drawn [0-9]+",
    ]);
    said.expect(Exit::Ok);
}

#[test]
fn one_that_never_answers_or_says_much_is_ended_or_heard_out() {
    const TEST: &str = "hostile functions";
    let Some(home) = Home::with_compilers(TEST) else {
        return;
    };
    let rungs = rungs_here(TEST, &home, &ONE_OF_EACH);
    let named = rungs.join(",");
    home.write(
        "late.c",
        "int main(void) { for (volatile int i = 0;; i++) {} }\n",
    );
    let said = home.run(&[
        "add",
        "mine/late",
        "--source",
        "late.c",
        "--timeout",
        "1",
        "--rungs",
        &named,
    ]);
    let said = said.expect(Exit::StartFailed);
    for rung in &rungs {
        let row = said.row(rung);
        assert!(row.contains("failed: "), "{row}");
    }
    home.write("much.c", "#include <string.h>\n#include <unistd.h>\nint main(void) { static char line[65536]; memset(line, 'x', sizeof line); for (int i = 0; i < 400; i++) if (write(1, line, sizeof line) < 0) return 1; }\n");
    let said = home
        .run(&["add", "mine/much", "--source", "much.c", "--rungs", &named])
        .expect(Exit::Ok);
    for rung in &rungs {
        said.ready(rung, "(26214400 bytes)");
    }
}

#[test]
fn one_that_fills_its_directory_is_ended_and_told() {
    const TEST: &str = "a function that fills its directory";
    let Some(home) = Home::with_compilers(TEST) else {
        return;
    };
    let rungs = rungs_here(TEST, &home, &ONE_OF_EACH);
    home.write("fill.c", "#include <stdio.h>\n#include <string.h>\nint main(int n, char **a)\n{\n    static char block[1 << 20];\n    memset(block, 'x', sizeof block);\n    FILE *file = fopen(a[1], \"w\");\n    for (int i = 0; i < 8192; i++)\n        if (!file || fwrite(block, sizeof block, 1, file) != 1)\n            return 7;\n    return 0;\n}\n");
    let said = home.run(&[
        "add",
        "mine/fill",
        "--source",
        "fill.c",
        "--output-at",
        "/made",
        "--args",
        "{output}/file",
        "--rungs",
        &rungs.join(","),
    ]);
    let said = said.expect(Exit::StartFailed);
    for rung in &rungs {
        let row = said.row(rung);
        let words = match *rung {
            "faaslet" => "--disk-limit",
            _ => "wrote more than 256 MiB",
        };
        assert!(row.contains(words), "{row}\n{}", said.stdout);
    }
}

#[test]
fn one_that_leaves_a_child_behind_is_not_waited_for() {
    const TEST: &str = "a function that forks";
    let Some(home) = Home::with_compilers(TEST) else {
        return;
    };
    let rungs = rungs_here(TEST, &home, &ONE_OF_EACH);
    let named = rungs.join(",");
    // Its child holds the output open and outlives it.
    home.write("fork.c", "#ifndef __wasm__\n#include <unistd.h>\n#endif\n#include <stdio.h>\nint main(void)\n{\n#ifndef __wasm__\n    if (fork() == 0) { sleep(60); return 0; }\n#endif\n    puts(\"parent\");\n    return 0;\n}\n");
    let begun = std::time::Instant::now();
    let said = home
        .run(&["add", "mine/fork", "--source", "fork.c", "--rungs", &named])
        .expect(Exit::Ok);
    for rung in &rungs {
        said.ready(rung, "parent");
    }
    assert!(
        begun.elapsed().as_secs() < 50,
        "nobody waits for what it left running"
    );
}
