//! The upload server with a token for each user: whose functions are whose, and how many.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::common::{Bench, assert_mentions, module};
use crate::modules as m;
use crate::server::{Server, token_of, users_file};

#[test]
fn a_token_opens_its_users_functions_alone() {
    let bench = Bench::new();
    let users = users_file(&bench, &["ann", "bob", "*"]);
    let path = users.path.to_str().expect("a path");
    let server = Server::start(&bench, &["--users-file", path]);
    let (noop, exit3) = (module(m::NOOP), module(m::EXIT_3));
    let (ann, bob) = (users.header("ann"), users.header("bob"));
    assert_eq!(server.put_with("/f/bob/mine", &bob, &noop).status, 201);
    let put = server.put_with("/f/bob/mine", &ann, &exit3);
    assert_eq!(put.status, 403, "{put:?}");
    assert_mentions(&put.text(), &["ann's token", "/f/ann/"]);
    assert_eq!(server.get("/f/bob/mine", &ann).status, 403);
    // Whether there is such a function is not hers to know either.
    assert_eq!(server.get("/f/bob/none", &ann).status, 403);
    assert_eq!(server.get("/f/bob/none", &bob).status, 404);
    // Nor is she told it as the nearest to a name of hers.
    server
        .get("/f/ann/mine", &ann)
        .says(404, "there is no ann/mine\n");
    assert_eq!(server.get("/f/bob/mine", &bob).body, noop);
    let all = users.header("*");
    assert_eq!(server.put_with("/f/bob/mine", &all, &exit3).status, 200);
    for wrong in [
        "",
        "authorization: Bearer \r\n",
        "authorization: Bearer ann\r\n",
        "authorization: Bearer *\r\n",
    ] {
        let put = server.put_with("/f/ann/mine", wrong, &noop);
        assert_eq!(put.status, 401, "{wrong}");
        assert!(put.head.contains("www-authenticate: Bearer"), "{put:?}");
    }
    // The client's commands take such a token as any other.
    let token = bench.home.path().join("token");
    fs::write(&token, token_of("ann")).expect("written");
    let file = bench.home.path().join("noop.wasm");
    fs::write(&file, &noop).expect("written");
    let upload = |user: &str| {
        bench.run(&format!(
            "upload --host {} --token-file {} {user} new {}",
            server.address,
            token.display(),
            file.display()
        ))
    };
    upload("ann").expect(0);
    assert_mentions(&upload("bob").expect(1).stderr, &["403", "ann's token"]);
}

#[test]
fn tokens_that_others_could_read_or_change_are_not_believed() {
    let bench = Bench::new();
    let users = users_file(&bench, &["ann"]);
    let path = users.path.to_str().expect("a path").to_owned();
    let serve = format!("serve --listen 127.0.0.1:0 --users-file {path}");
    let mode = |mode| {
        fs::set_permissions(&path, Permissions::from_mode(mode)).expect("permissions");
    };
    mode(0o644);
    bench.fails(1, &serve, &["others can read", "chmod 600"]);
    mode(0o622);
    bench.fails(1, &serve, &["can write to it", "chmod"]);
    mode(0o600);
    let open = bench.home.path().join("open");
    fs::create_dir(&open).expect("a directory");
    fs::set_permissions(&open, Permissions::from_mode(0o777)).expect("permissions");
    symlink(&path, open.join("users")).expect("a link");
    let link = format!("serve --users-file {}", open.join("users").display());
    bench.fails(1, &link, &["can write to it"]);
    for (text, says) in [
        ("", "no user"),
        ("ann", "line 1"),
        ("ann 0123456789abcdef\nbob short", "line 2"),
        ("ann 0123456789abcdef\nbob 0123456789abcdef", "token of ann"),
    ] {
        fs::write(&path, text).expect("written");
        let ran = bench.fails(2, &serve, &[says]);
        assert!(!ran.stderr.contains("0123456789abcdef"), "{}", ran.stderr);
    }
    fs::remove_file(&path).expect("removed");
    bench.fails(1, &serve, &[&path]);
    bench.fails(2, &format!("{serve} --token-file {path}"), &[]);
}

#[test]
fn nobody_takes_the_place_of_a_function_that_was_given_directories() {
    let bench = Bench::with(&[("reader", m::OPENS_FILE), ("noop", m::NOOP)]);
    bench.ok("grant demo/reader --dir /usr::/usr");
    bench.ok("grant demo/later --dir /usr::/usr");
    bench.ok("grant demo/noop --env LANG=C");
    let server = Server::start(&bench, &[]);
    let exit3 = module(m::EXIT_3);
    for name in ["reader", "later"] {
        let put = server.put(&format!("/f/demo/{name}"), &exit3);
        assert_eq!(put.status, 403, "{put:?}");
        assert_mentions(&put.text(), &[name, "given directories"]);
    }
    assert_eq!(server.get("/f/demo/reader", "").body, module(m::OPENS_FILE));
    assert_eq!(server.put("/f/demo/noop", &exit3).status, 200);
    drop(server);
    // Whoever has the user's token may.
    let users = users_file(&bench, &["demo"]);
    let path = users.path.to_str().expect("a path");
    let server = Server::start(&bench, &["--users-file", path]);
    let put = server.put_with("/f/demo/reader", &users.header("demo"), &exit3);
    assert_eq!(put.status, 200, "{put:?}");
}

#[test]
fn a_user_has_no_more_than_the_quota() {
    let bench = Bench::new();
    let users = users_file(&bench, &["ann", "bob"]);
    let path = users.path.to_str().expect("a path");
    let args = [
        "--users-file",
        path,
        "--user-functions",
        "2",
        "--user-mib",
        "1",
    ];
    let server = Server::start(&bench, &args);
    let (noop, exit3) = (module(m::NOOP), module(m::EXIT_3));
    let ann = users.header("ann");
    for name in ["a", "b"] {
        let put = server.put_with(&format!("/f/ann/{name}"), &ann, &noop);
        assert_eq!(put.status, 201, "{put:?}");
    }
    let before = server.store();
    let put = server.put_with("/f/ann/c", &ann, &noop);
    assert_eq!(put.status, 507, "{put:?}");
    assert_mentions(&put.text(), &["3 functions and may have 2"]);
    let large = module(&format!(
        r#"(module (memory (export "memory") 20) (data (i32.const 0) "{}") (func (export "_start")))"#,
        "x".repeat(600_000)
    ));
    // By itself the module would have room; with its code it has none.
    let put = server.put_with("/f/ann/b", &ann, &large);
    assert_eq!(put.status, 507, "{put:?}");
    assert_mentions(&put.text(), &["bytes and may have 1048576"]);
    assert_eq!(server.store(), before);
    // What is there can be replaced, and another has room of his own.
    assert_eq!(server.put_with("/f/ann/b", &ann, &exit3).status, 200);
    let put = server.put_with("/f/bob/c", &users.header("bob"), &noop);
    assert_eq!(put.status, 201, "{put:?}");
}
