//! Other engines' columns: on node, where it is there, and on engines of the tests' own making that fail as engines do.

use std::fs;

use driver_testkit::{Ended, Page};
use measure_core::base::programs::on_path;

use crate::bench::{Bench, OUTPUTS};

/// A home whose kernels are there as linked, too; none where they cannot be compiled.
fn bench() -> Option<Bench> {
    let bench = Bench::new()?;
    bench.put_all_columns("poly_gemm-mini");
    Some(bench)
}

/// gemm, natively and by `engine`.
fn measure(bench: &Bench, engine: &str, more: &str) -> Ended {
    bench.run(&format!(
        "gemm 2 3 --dataset mini --columns native,{engine} {OUTPUTS} {more}"
    ))
}

fn rows_of(bench: &Bench, column: &str) -> usize {
    bench.rows().iter().filter(|row| row[1] == column).count()
}

/// An engine `mine` that is a shell script, in a file of its own; `more` are further lines of its entry.
fn mine(bench: &Bench, script: &str, more: &str) {
    fs::write(bench.path("mine.sh"), script).expect("written");
    let entry = format!(
        "[[engine]]\nid = 'mine'\nrun = ['sh', '{{script}}', '{{module}}', '{{args}}']\nscript = 'mine.sh'\n\
         version = ['sh', '-c', 'echo made up, 1']\ninstall = 'it is made up'\n{more}\n"
    );
    fs::write(bench.path("engines.toml"), entry).expect("written");
}

fn measure_mine(bench: &Bench) -> Ended {
    measure(bench, "mine", "--engines engines.toml")
}

#[test]
fn another_engine_is_verified_timed_and_described() {
    if on_path("node").is_none() {
        return eprintln!(
            "SKIPPED: a column by node: node is not installed: apt-get install nodejs"
        );
    }
    let Some(bench) = bench() else { return };
    let ran = measure(&bench, "node,node-turbofan", "");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    for column in ["node", "node-turbofan"] {
        assert_eq!(rows_of(&bench, column), 3, "{column}");
    }
    let report = fs::read_to_string(bench.path("run/report.md")).expect("a report");
    for told in [
        "node agrees in all 500 elements",
        "node-turbofan agrees in all 500 elements",
        "version: v",
        "--no-liftoff",
    ] {
        assert!(report.contains(told), "no `{told}`: {report}");
    }
    let dump = |column| bench.run(&format!("dump gemm {column} --dataset mini"));
    assert_eq!(dump("wasm-linked").stdout, dump("node").stdout);
}

#[test]
fn what_an_engine_says_and_how_it_ends_is_its_columns_trouble_alone() {
    for (script, more, words) in [
        (
            "echo no luck >&2; exit 3",
            "",
            "mine: exit code 3 (it said: no luck)",
        ),
        ("kill -SEGV $$", "", "mine: ended by SIGSEGV"),
        ("exit 0", "", "wrote no array"),
        ("echo hello", "", "no array's header"),
        (
            "exit 0",
            "compile = ['sh', '-c', 'echo bad module >&2; exit 1', '{module}', '{compiled}']\nrun = ['sh', '{script}', '{compiled}', '{args}']",
            "cannot be compiled by mine: exit code 1 (it said: bad module)",
        ),
        (
            "exit 0",
            "compile = ['true', '{module}', '{compiled}']\nrun = ['sh', '{script}', '{compiled}', '{args}']",
            "it ended well and left no code",
        ),
    ] {
        let Some(bench) = bench() else { return };
        mine(&bench, script, "");
        if !more.is_empty() {
            let path = bench.path("engines.toml");
            let entry = fs::read_to_string(&path).expect("written");
            let lines = entry.lines().filter(|line| !line.starts_with("run = "));
            let text: Vec<&str> = lines.chain(more.lines()).collect();
            fs::write(&path, text.join("\n")).expect("written");
        }
        measure_mine(&bench).assert_failed(4, &[words]);
        assert_eq!((rows_of(&bench, "native"), rows_of(&bench, "mine")), (2, 0));
    }
}

#[test]
fn a_feature_that_an_engine_lacks_is_named_before_it_runs() {
    let Some(bench) = bench() else { return };
    mine(&bench, "exit 0", "");
    let text = "(module (memory (export \"memory\") 1) (func (export \"_start\")
        (drop (f64x2.relaxed_madd (v128.const i64x2 0 0) (v128.const i64x2 0 0) (v128.const i64x2 0 0)))))";
    bench.put_linked("poly_gemm-mini", &wat::parse_str(text).expect("a module"));
    measure_mine(&bench).assert_failed(
        4,
        &["polybench-linked/poly_gemm-mini needs relaxed-simd, which mine does not take"],
    );
    assert_eq!(rows_of(&bench, "native"), 2);
}

#[test]
fn what_is_not_installed_is_told_beforehand_or_left_out_of_all() {
    let Some(bench) = bench() else { return };
    let entry = "[[engine]]\nid = 'absent'\nrun = ['no-such-engine', '{module}', '{args}']\ninstall = 'ask its makers'\n";
    fs::write(bench.path("engines.toml"), entry).expect("written");
    measure(&bench, "absent", "--engines engines.toml").assert_failed(
        3,
        &["absent: `no-such-engine` is not installed; ask its makers"],
    );
    assert!(!bench.path("rows.csv").exists());
    let ran = bench.run(&format!(
        "gemm 2 3 --dataset mini --columns native --also engines --engines engines.toml {OUTPUTS}"
    ));
    let told = "Engine absent is left out: `no-such-engine` is not installed; ask its makers.";
    assert!(ran.stderr.contains(told), "{ran:?}");
    assert_eq!(rows_of(&bench, "native"), 2, "{ran:?}");
    let report = fs::read_to_string(bench.path("run/report.md")).expect("a report");
    assert!(report.contains(told), "{report}");
}

#[test]
fn a_wrong_file_and_a_wrong_name_are_usage_errors() {
    let bench = Bench::empty();
    let list = |text: &str| {
        fs::write(bench.path("engines.toml"), text).expect("written");
        bench.run("list --engines engines.toml")
    };
    list("[[engine]]\nid = 'x'\nrum = ['x', '{module}', '{args}']").assert_failed(
        2,
        &["engines.toml: engine `x`: unknown key `rum`, did you mean `run`?"],
    );
    bench
        .run("gemm 1 1 --also wasmer-lvm")
        .assert_failed(2, &["did you mean `wasmer-llvm`?"]);
    bench
        .run("list --engines /nonexistent")
        .assert_failed(2, &["/nonexistent: cannot read it"]);
}

#[test]
fn the_page_on_adding_an_engine_is_true() {
    let page = Page::read("adding-an-engine.md");
    let (block, id) = page.entry();
    let bench = Bench::empty();
    fs::write(bench.path("engines.toml"), block).expect("written");
    let ran = bench.run("list --engines engines.toml");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.contains(&format!("  {id}: ")), "{ran:?}");
    page.explains(&[
        "id",
        "summary",
        "compile",
        "run",
        "dir",
        "env",
        "takes",
        "script",
        "environment",
        "version",
        "settings",
        "install",
        "{module}",
        "{compiled}",
        "{script}",
        "{args}",
        "{dirs}",
        "{env}",
        "{host}",
        "{guest}",
        "{name}",
        "{value}",
    ]);
}
