//! The proxy between real sockets.
#![expect(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::io::{Read, Write};
use std::net::{SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use granted_network::{Limits, Proxy};

const LONG: Duration = Duration::from_secs(30);

/// Answers each connection with what comes in, until its end.
fn echo() -> SocketAddrV4 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = v4(&listener);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || {
                let mut stream = stream;
                let mut text = Vec::new();
                let _ = stream.read_to_end(&mut text);
                let _ = stream.write_all(&text);
            });
        }
    });
    address
}

fn v4(listener: &TcpListener) -> SocketAddrV4 {
    match listener.local_addr().unwrap() {
        SocketAddr::V4(address) => address,
        SocketAddr::V6(address) => unreachable!("{address} was bound as IPv4"),
    }
}

fn proxy_to(target: SocketAddrV4, limits: Limits) -> (Proxy, SocketAddrV4) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = v4(&listener);
    (
        Proxy::start(vec![(listener, target)], limits).unwrap(),
        address,
    )
}

fn connect(address: SocketAddrV4) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
}

#[test]
fn bytes_come_through_whole_and_in_order_after_one_side_has_ended() {
    let (proxy, address) = proxy_to(echo(), Limits::default());
    let mut stream = connect(address);
    let sent: Vec<u8> = (0..1_000_000_u32)
        .map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()[3])
        .collect();
    stream.write_all(&sent).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut received = Vec::new();
    stream.read_to_end(&mut received).unwrap();
    assert!(received == sent);
    assert_eq!((proxy.carried(), proxy.refused()), (1, 0));
}

#[test]
fn a_flood_is_closed_beyond_its_bound_and_ends_with_its_connections() {
    let limits = Limits {
        of_one: 4,
        ..Limits::default()
    };
    let (proxy, address) = proxy_to(echo(), limits);
    let mut flood: Vec<TcpStream> = (0..40).map(|_| connect(address)).collect();
    let begun = Instant::now();
    while proxy.carried() + proxy.refused() < 40 {
        assert!(begun.elapsed() < LONG, "{proxy:?}");
        thread::sleep(Duration::from_millis(2));
    }
    assert_eq!((proxy.carried(), proxy.refused()), (4, 36));
    let is_closed = |stream: &mut TcpStream| {
        let short = Some(Duration::from_millis(100));
        stream.set_read_timeout(short).unwrap();
        match stream.read(&mut [0]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    };
    let closed = flood.iter_mut().map(is_closed).filter(|&closed| closed);
    assert_eq!(closed.count(), 36);
    drop(flood);
    // Its places are free again.
    loop {
        let mut stream = connect(address);
        let answered = stream
            .write_all(b"x")
            .and_then(|()| stream.shutdown(std::net::Shutdown::Write));
        let mut text = Vec::new();
        if answered.is_ok() && stream.read_to_end(&mut text).is_ok() && text == b"x" {
            break;
        }
        assert!(begun.elapsed() < LONG, "{proxy:?}");
    }
}

#[test]
fn what_nobody_ends_is_ended_when_it_is_idle() {
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let limits = Limits {
        of_one: 1,
        idle: Duration::from_millis(50),
        ..Limits::default()
    };
    let (_proxy, address) = proxy_to(v4(&deaf), limits);
    let mut stream = connect(address);
    assert_eq!(
        stream.read(&mut [0]).unwrap_or(0),
        0,
        "closed without an answer"
    );
}

#[test]
fn a_target_that_is_not_there_closes_the_connection_and_the_proxy_goes_with_its_listeners() {
    let gone = v4(&TcpListener::bind("127.0.0.1:0").unwrap());
    let (proxy, address) = proxy_to(gone, Limits::default());
    assert_eq!(connect(address).read(&mut [0]).unwrap_or(0), 0);
    drop(proxy);
    assert!(TcpStream::connect(address).is_err());
}
