//! What `ansible/fleet.yml` refuses before it asks any host.

use std::fs;

use driver_testkit::playbooks::{expect, has, run};

/// The playbook on `inventory`, with `more` of variables; what it said as it refused.
#[track_caller]
fn refusal(inventory: &str, more: &[&str]) -> String {
    let scratch = tempfile::tempdir().expect("a directory");
    let file = scratch.path().join("hosts");
    fs::write(&file, inventory).expect("written");
    let results = scratch.path().join("results");
    let variables = format!("fleet_results={}", results.display());
    let archive = format!("fleet_archive={}", file.display());
    let mut arguments = vec![
        "-i",
        file.to_str().expect("a path"),
        "fleet.yml",
        "-e",
        &variables,
        "-e",
        &archive,
    ];
    for variable in more {
        arguments.extend(["-e", variable]);
    }
    let text = expect(&run("ansible-playbook", scratch.path(), &arguments), false);
    assert!(!results.exists());
    assert!(!text.contains("Meet the hosts"), "no host is asked: {text}");
    text
}

#[test]
fn a_host_twice_is_refused_and_named() {
    if !has("ansible-playbook", "refusing inventories") {
        return;
    }
    let text = refusal("[fast]\na\nb\na\n[all]\nb\n", &[]);
    assert!(text.contains("a stands twice below [fast]"), "{text}");
    let text = refusal("a ansible_host=192.0.2.1\nb ansible_host=192.0.2.1\n", &[]);
    assert!(
        text.contains("a and b are both 192.0.2.1 port 22"),
        "{text}"
    );
    let text = refusal("latest\n", &[]);
    assert!(text.contains("latest is no name for a host here"), "{text}");
}

#[test]
fn a_plan_that_is_not_the_same_everywhere_is_refused() {
    if !has("ansible-playbook", "refusing plans") {
        return;
    }
    for plan in [
        "time --seed 7",
        "quick --output x",
        "tune on",
        "",
        "quick; reboot",
    ] {
        let variable = serde_json::json!({ "fleet_plan": plan }).to_string();
        let text = refusal("a\n", &[&variable]);
        assert!(
            text.contains("fleet_plan is what comes after"),
            "{plan}: {text}"
        );
    }
}
