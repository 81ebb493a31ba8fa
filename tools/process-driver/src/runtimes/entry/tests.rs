use super::*;

fn check(text: &str) -> Result<Entry, Box<dyn std::error::Error>> {
    let entry: Entry = toml::from_str(text)?;
    Ok(entry.check()?)
}

fn refusal(text: &str) -> String {
    check(text).expect_err(text).to_string()
}

#[test]
fn an_entry_needs_an_id_a_command_and_what_it_isolates() {
    let entry =
        check("id = 'x'\ncommand = ['/bin/x', '{function}']\nisolation = {}").expect("an entry");
    assert_eq!(
        entry.version,
        Some(["/bin/x", "--version"].map(String::from).into())
    );
    assert_eq!(entry.executables(), ["/bin/x"]);
    assert_eq!(entry.warm, default_warm());
    let own = "id = 'x'\ncommand = ['x', '{function}']\nisolation = {}\nwarm = 'a daemon'";
    assert_eq!(check(own).expect("an entry").warm, "a daemon");
    assert_eq!(entry.timeout(), Duration::from_secs(TIMEOUT_S));
    for (text, words) in [
        (
            "command = ['{function}']\nisolation = {}",
            "missing field `id`",
        ),
        ("id = 'x'\nisolation = {}", "missing field `command`"),
        (
            "id = 'x'\ncommand = ['{function}']",
            "missing field `isolation`",
        ),
        (
            "id = 'x'\ncommand = ['{function}']\nisolation = { memroy = 'a' }",
            "memroy",
        ),
        (
            "id = 'x'\ncommnd = ['{function}']\nisolation = {}",
            "commnd",
        ),
    ] {
        let error = refusal(text);
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_missing_or_unknown_placeholder_is_named() {
    for (rest, words) in [
        (
            "command = ['runc', 'run']",
            "{function}, {wasm}, {script}, {program} or {bundle}",
        ),
        ("command = ['runc', '{bundel}']", "did you mean `bundle`?"),
        ("command = ['runc', '{bundle}']", "no {name}"),
        ("command = ['bwrap', '{program}']", "no {root}"),
        (
            "command = ['bwrap', '{root}', '{function}']",
            "no {program}",
        ),
        ("command = ['x']\nsetup = [['y', '{wasm}']]", "put {state}"),
        (
            "command = ['x', '{function}']\nsetup = [['y', '{name}']]",
            "cannot have {name}",
        ),
        (
            "command = ['x', '{function}']\ncleanup = [['y']]",
            "needs that start's {name}",
        ),
        ("command = []", "command is empty"),
        (
            "command = ['x', '{function}']\nsetup = [[]]",
            "setup holds an empty command",
        ),
        (
            "command = ['x', '{function}']\ntimeout_s = 0",
            "it must be 1 to",
        ),
        (
            "command = ['x', '{function}']\nfiles = { '../y' = '' }",
            "no plain file name",
        ),
        (
            "command = ['x', '{script}']",
            "has {script} but there are no `scripts`",
        ),
        (
            "command = ['x', '{function}']\nscripts = { 'demo/noop.js' = '' }",
            "no {script}",
        ),
        (
            "command = ['x', '{script}']\nscripts = { 'noop.js' = '' }",
            "no name of a script",
        ),
        ("command = ['x', '{function}']\nhandlers = 'hots'", "hots"),
        (
            "command = ['x', '{function}']\nsetup = [['y', '{variable}']]",
            "{variable} is for words after the command's first",
        ),
    ] {
        let error = refusal(&format!("id = 'x'\nisolation = {{}}\n{rest}"));
        assert!(error.contains(words), "{rest}: {error}");
    }
    let error = refusal("id = 'a/b'\nisolation = {}\ncommand = ['{function}']");
    assert!(error.contains("no name of a rung"), "{error}");
}

#[test]
fn a_daemon_and_what_else_is_around_the_starts_is_checked() {
    const CLIENT: &str = "id = 'x'\nisolation = {}\ncommand = ['client', '{bundle}', '{name}']\n";
    let daemon = "daemon = { command = ['served', '{run}'], ready = '{run}/socket' }";
    let text = format!("{CLIENT}needs = ['shim']\nbundle_runs = 'wasm'\n{daemon}");
    let entry = check(&text).expect("an entry");
    assert_eq!(entry.executables(), ["served", "client", "shim"]);
    assert!(entry.runs_wasm());
    for (rest, words) in [
        (
            "daemon = { command = ['d', '{name}'], ready = '{run}/socket' }",
            "it cannot have {name}",
        ),
        (
            "daemon = { command = ['d'], ready = '{rnu}/socket' }",
            "did you mean `run`?",
        ),
        ("daemon = { command = ['d'] }", "missing field `ready`"),
        (
            "daemon = { command = [], ready = '{run}/socket' }",
            "daemon holds an empty command",
        ),
        ("private_dirs = ['run/x']", "no absolute path"),
        ("private_dirs = ['/']", "no absolute path"),
        ("bundle_runs = 'java'", "java"),
    ] {
        let error = refusal(&format!("{CLIENT}{rest}"));
        assert!(error.contains(words), "{rest}: {error}");
    }
    let no_bundle =
        "id = 'x'\nisolation = {}\ncommand = ['x', '{function}']\nbundle_runs = 'wasm'\n";
    let error = refusal(no_bundle);
    assert!(error.contains("{bundle}"), "{error}");
}
