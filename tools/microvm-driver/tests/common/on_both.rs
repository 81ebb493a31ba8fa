//! Each named function of one server as two tests, so that a test's name says who answered: `on_the_double::NAME`, and
//! `on_real_firecracker::NAME`, which says `SKIPPED` and why where there is no Firecracker to be driven.

macro_rules! on_both {
    ($($test:ident),+ $(,)?) => {
        mod on_the_double {
            $(
                #[test]
                fn $test() {
                    let server = crate::common::Server::double();
                    eprintln!("CONFORMANCE: {}", server.name);
                    super::$test(&server);
                }
            )+
        }
        mod on_real_firecracker {
            $(
                #[test]
                fn $test() {
                    if let Some(server) = crate::common::Server::real(stringify!($test)) {
                        eprintln!("CONFORMANCE: {}", server.name);
                        super::$test(&server);
                    }
                }
            )+
        }
    };
}
