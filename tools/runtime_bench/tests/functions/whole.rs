//! A store that holds the old function or the new one, whole, whenever `add` is ended.

use std::fs;
use std::thread;
use std::time::Duration;

use measure_core::base::exit::Exit;

use crate::home::{Home, LIGHT, rungs_here};

fn version(home: &Home, name: &str) {
    let text = format!("#include <stdio.h>\nint main(void) {{ puts(\"version {name}\"); }}\n");
    home.write(&format!("{name}.c"), &text);
}

#[test]
fn add_may_be_killed_at_any_moment() {
    const TEST: &str = "add, killed";
    let Some(home) = Home::with_compilers(TEST) else {
        return;
    };
    let rungs = rungs_here(TEST, &home, &LIGHT).join(",");
    version(&home, "a");
    version(&home, "b");
    let add = |name: &str| {
        vec![
            "add".to_owned(),
            "mine/it".into(),
            "--source".into(),
            format!("{name}.c"),
            "--replace".into(),
            "--rungs".into(),
            rungs.clone(),
        ]
    };
    let begun = std::time::Instant::now();
    let first = add("a");
    let first: Vec<&str> = first.iter().map(String::as_str).collect();
    home.run(&first).expect(Exit::Ok);
    let whole = begun.elapsed();
    for step in 0..12_u32 {
        let name = ["b", "a"][step as usize % 2];
        let mut child = home
            .tool()
            .args(add(name))
            .spawn()
            .expect("the tool starts");
        thread::sleep(whole * step / 12 + Duration::from_millis(7));
        child.kill().expect("ended or killed");
        child.wait().expect("an end");
        let said = home
            .run(&["test", "mine/it", "--rungs", &rungs])
            .expect(Exit::Ok);
        let said = said.row("process");
        assert!(
            said.contains("version a") || said.contains("version b"),
            "{said}"
        );
    }
    home.run(&first)
        .expect(Exit::Ok)
        .ready("process", "version a");
    assert_eq!(
        home.left(),
        [""; 0],
        "what killed ones left is removed by the next"
    );
    let entries = fs::read_dir(home.function("mine")).expect("there");
    let names: Vec<_> = entries.flatten().map(|e| e.file_name()).collect();
    assert_eq!(names, ["it"]);
}

#[test]
fn a_second_of_the_same_name_is_refused_or_takes_its_place() {
    const TEST: &str = "a second of the same name";
    let Some(home) = Home::with_compilers(TEST) else {
        return;
    };
    let rungs = rungs_here(TEST, &home, &[("process-driver", "process")]).join(",");
    version(&home, "a");
    version(&home, "b");
    home.run(&["add", "mine/it", "--source", "a.c", "--rungs", &rungs])
        .expect(Exit::Ok);
    home.run(&["add", "mine/it", "--source", "b.c", "--rungs", &rungs])
        .expect(Exit::Usage)
        .says("--replace");
    home.run(&["test", "mine/it", "--rungs", &rungs])
        .expect(Exit::Ok)
        .ready("process", "version a");
    let replaced = [
        "add",
        "mine/it",
        "--source",
        "b.c",
        "--rungs",
        &rungs,
        "--replace",
    ];
    home.run(&replaced)
        .expect(Exit::Ok)
        .ready("process", "version b");
    // One that is refused leaves what was there.
    let refused = [
        "add",
        "mine/it",
        "--native",
        "b.c",
        "--rungs",
        &rungs,
        "--replace",
    ];
    home.run(&refused).expect(Exit::Usage);
    home.run(&["test", "mine/it", "--rungs", &rungs])
        .expect(Exit::Ok)
        .ready("process", "version b");
}
