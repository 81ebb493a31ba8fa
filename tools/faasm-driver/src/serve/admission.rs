//! Whose requests are let in, how many, and in which order their modules are compiled.
//!
//! A client is a user, where there are tokens of users, else an address. It has its own share of places and bytes, so that none can
//! take them all, and waits for the compiler in a line of its own: the lines are served by turns, one module of each.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

/// How long a request waits for a place, and how often it looks: clients that have just gone have not yet given up theirs.
const PATIENCE: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(50);

/// Who a request is from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Client {
    /// Whose token it has.
    User(String),
    /// Where it comes from: an address of IPv4, or the first half of one of IPv6.
    Address(IpAddr),
}

impl Client {
    pub(super) fn at(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(v6) => {
                let network = u128::from(v6) >> 64 << 64;
                Self::Address(IpAddr::V6(network.into()))
            }
            v4 @ IpAddr::V4(_) => Self::Address(v4),
        }
    }
}

/// How much there is for all clients, and for each of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shares {
    pub(super) places: usize,
    pub(super) places_each: usize,
    pub(super) bytes: usize,
    pub(super) bytes_each: usize,
    /// Compilers at once, of which each client has one at most.
    pub(super) turns: usize,
}

/// Why a request is not let in, or may not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// The client has its share.
    Client,
    /// All clients together have all that there is.
    Server,
}

#[derive(Default)]
struct Line {
    places: usize,
    bytes: usize,
    running: bool,
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

#[derive(Default)]
struct State {
    lines: HashMap<Client, Line>,
    /// Clients that wait, the one whose turn is next at the front.
    order: VecDeque<Client>,
    places: usize,
    bytes: usize,
    running: usize,
}

/// What all requests share.
pub(super) struct Admission {
    shares: Shares,
    state: Mutex<State>,
}

impl Admission {
    pub(super) fn new(shares: Shares) -> Arc<Self> {
        Arc::new(Self {
            shares,
            state: Mutex::default(),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Numbers only: none is half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a request of `client`, until it is dropped.
    pub(super) fn enter(self: &Arc<Self>, client: &Client) -> Result<Place, Full> {
        let mut state = self.state();
        if state.places >= self.shares.places {
            return Err(Full::Server);
        }
        let line = state.lines.entry(client.clone()).or_default();
        if line.places >= self.shares.places_each {
            return Err(Full::Client);
        }
        line.places += 1;
        state.places += 1;
        Ok(Place {
            admission: self.clone(),
            client: client.clone(),
            bytes: 0,
        })
    }

    /// As [`Admission::enter`], if need be when one becomes free within a short while.
    pub(super) async fn enter_soon(self: &Arc<Self>, client: &Client) -> Result<Place, Full> {
        let patience = Instant::now() + PATIENCE;
        loop {
            match self.enter(client) {
                Err(_) if Instant::now() < patience => tokio::time::sleep(LOOK).await,
                entered => return entered,
            }
        }
    }

    /// The next who waits and may run, if there is a compiler for it.
    fn next(&self) -> Option<(Client, oneshot::Sender<Turn>)> {
        let mut guard = self.state();
        let state = &mut *guard;
        if state.running >= self.shares.turns {
            return None;
        }
        let lines = &mut state.lines;
        let at = state
            .order
            .iter()
            .position(|client| lines.get(client).is_some_and(|line| !line.running))?;
        let client = state.order.remove(at)?;
        let line = lines.get_mut(&client)?;
        let waiter = line.waiting.pop_front()?;
        line.running = true;
        if !line.waiting.is_empty() {
            state.order.push_back(client.clone());
        }
        state.running += 1;
        Some((client, waiter))
    }

    fn dispatch(self: &Arc<Self>) {
        while let Some((client, waiter)) = self.next() {
            // One that has gone away meanwhile gives it back at once.
            drop(waiter.send(Turn {
                admission: self.clone(),
                client,
            }));
        }
    }

    /// Forgets clients that have nothing here.
    fn tidy(state: &mut State, client: &Client) {
        let idle = state
            .lines
            .get(client)
            .is_some_and(|line| line.places == 0 && !line.running && line.waiting.is_empty());
        if idle {
            state.lines.remove(client);
        }
    }
}

/// A request's place, with the bytes of it that are held.
pub(super) struct Place {
    admission: Arc<Admission>,
    client: Client,
    bytes: usize,
}

impl Place {
    /// Holds so many bytes more.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), Full> {
        let shares = self.admission.shares;
        let mut state = self.admission.state();
        if state.bytes + bytes > shares.bytes {
            return Err(Full::Server);
        }
        let line = state.lines.entry(self.client.clone()).or_default();
        if line.bytes + bytes > shares.bytes_each {
            return Err(Full::Client);
        }
        line.bytes += bytes;
        state.bytes += bytes;
        self.bytes += bytes;
        Ok(())
    }

    /// Whether others may be kept out by this one: more than half of all places, or of the client's, are taken.
    pub(super) fn is_crowded(&self) -> bool {
        let shares = self.admission.shares;
        let state = self.admission.state();
        let own = state.lines.get(&self.client).map_or(0, |line| line.places);
        2 * state.places > shares.places || 2 * own > shares.places_each
    }

    /// Waits for the compiler; it is this request's until the turn is dropped.
    pub(super) async fn turn(&self) -> Turn {
        let (sender, receiver) = oneshot::channel();
        {
            let mut guard = self.admission.state();
            let state = &mut *guard;
            let line = state.lines.entry(self.client.clone()).or_default();
            // Those that went away no longer wait.
            line.waiting.retain(|waiter| !waiter.is_closed());
            line.waiting.push_back(sender);
            if !state.order.contains(&self.client) {
                state.order.push_back(self.client.clone());
            }
        }
        self.admission.dispatch();
        match receiver.await {
            Ok(turn) => turn,
            // Lines are never dropped with someone in them.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.admission.state();
        state.places -= 1;
        state.bytes -= self.bytes;
        if let Some(line) = state.lines.get_mut(&self.client) {
            line.places -= 1;
            line.bytes -= self.bytes;
            line.waiting.retain(|waiter| !waiter.is_closed());
        }
        Admission::tidy(&mut state, &self.client);
        let State { lines, order, .. } = &mut *state;
        order.retain(|client| {
            lines
                .get(client)
                .is_some_and(|line| !line.waiting.is_empty())
        });
    }
}

/// The use of a compiler.
pub(super) struct Turn {
    admission: Arc<Admission>,
    client: Client,
}

impl Drop for Turn {
    fn drop(&mut self) {
        {
            let mut state = self.admission.state();
            state.running -= 1;
            if let Some(line) = state.lines.get_mut(&self.client) {
                line.running = false;
            }
            Admission::tidy(&mut state, &self.client);
        }
        self.admission.dispatch();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const SHARES: Shares = Shares {
        places: 6,
        places_each: 4,
        bytes: 100,
        bytes_each: 60,
        turns: 2,
    };

    fn user(name: &str) -> Client {
        Client::User(name.to_owned())
    }

    #[test]
    fn each_has_a_share_and_gives_it_back() {
        let admission = Admission::new(SHARES);
        let (a, b) = (user("a"), user("b"));
        let mut places: Vec<_> = (0..4)
            .map(|_| admission.enter(&a).expect("a place"))
            .collect();
        assert_eq!(admission.enter(&a).err(), Some(Full::Client));
        places.push(admission.enter(&b).expect("a place"));
        assert!(places[4].is_crowded());
        places.push(admission.enter(&b).expect("a place"));
        assert_eq!(admission.enter(&b).err(), Some(Full::Server));
        assert_eq!(places[0].grow(50), Ok(()));
        assert_eq!(places[1].grow(20), Err(Full::Client));
        assert_eq!(places[4].grow(51), Err(Full::Server));
        assert_eq!(places[4].grow(50), Ok(()));
        places.clear();
        assert!(admission.state().lines.is_empty());
        let state = admission.state();
        assert_eq!((state.places, state.bytes), (0, 0));
    }

    #[test]
    fn turns_go_round_and_those_that_went_away_have_none() {
        let admission = Admission::new(SHARES);
        let greedy: Vec<_> = (0..4)
            .map(|_| admission.enter(&user("a")).expect("a place"))
            .collect();
        let late = admission.enter(&user("b")).expect("a place");
        let first = greedy[0].turn().now_or_never().expect("at once");
        // A client has one compiler, though there is another.
        let mut second = Box::pin(greedy[1].turn());
        let mut third = Box::pin(greedy[2].turn());
        assert!(
            second.as_mut().now_or_never().is_none() && third.as_mut().now_or_never().is_none()
        );
        let other = late
            .turn()
            .now_or_never()
            .expect("at once, before those that came earlier");
        drop(second);
        drop(first);
        let third = third.now_or_never().expect("the next that still waits");
        drop((third, other));
        assert_eq!(admission.state().running, 0);
        drop((greedy, late));
        let state = admission.state();
        assert!(state.lines.is_empty() && state.order.is_empty());
    }

    #[tokio::test]
    async fn many_clients_at_once_all_come_to_their_turn() {
        let admission = Admission::new(Shares {
            places: 1000,
            places_each: 100,
            ..SHARES
        });
        let tasks: Vec<_> = (0..200)
            .map(|i: u32| {
                let place = admission
                    .enter(&user(&(i % 7).to_string()))
                    .expect("a place");
                tokio::spawn(async move {
                    let turn = place.turn().await;
                    tokio::time::sleep(Duration::from_micros(u64::from(i % 5))).await;
                    drop(turn);
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("its turn");
        }
        assert!(admission.state().lines.is_empty());
    }

    #[test]
    fn an_address_of_ipv6_is_its_network() {
        let at = |text: &str| Client::at(text.parse().expect("an address"));
        assert_eq!(at("2001:db8::1"), at("2001:db8::ffff:1"));
        assert_ne!(at("2001:db8::1"), at("2001:db8:0:1::1"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
        assert_ne!(at("192.0.2.2"), at("192.0.2.1"));
    }
}
