//! Loopback ports, each reserved for one process of this user.
//!
//! Another process may take a free port before the server binds it, or the port of a killed server
//! before its restart. Therefore each port in use is reserved by a lock on a file with its number.
//! The kernel releases the lock when the process ends. All ports are below the range of outgoing
//! connections.

use std::{
    fs::{File, TryLockError},
    net::{Ipv4Addr, TcpListener},
    sync::atomic::{AtomicU16, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use crate::{
    error::{Context, Error},
    private,
};

/// Below Linux's default range for outgoing connections (32768 and up).
const FIRST: u16 = 15_000;
const COUNT: u16 = 15_000;
const TRIES: u32 = 2_000;

/// The port that a server shall have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PortChoice {
    /// Any free port.
    #[default]
    Free,
    /// This port, or any free port if it is taken.
    Preferred(u16),
    /// This port. It is an error if the port is taken.
    Given(u16),
}

/// A port that is reserved for this process while the value lives.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    /// Reserves a port.
    pub(crate) fn choose(choice: PortChoice, server: &'static str) -> Result<Port, Error> {
        match choice {
            PortChoice::Free => Self::reserve(server),
            PortChoice::Preferred(number) => match Self::given(number, server) {
                Err(Error::PortTaken { .. }) => Self::reserve(server),
                reserved => reserved,
            },
            PortChoice::Given(number) => Self::given(number, server),
        }
    }

    /// Reserves a free port.
    pub(crate) fn reserve(server: &'static str) -> Result<Port, Error> {
        let directory = private::directory("ports")?;
        for _ in 0..TRIES {
            let number = FIRST + next_offset();
            let path = directory.join(number.to_string());
            let file = File::create(&path).during(|| format!("create {}", path.display()))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(source)) => {
                    return Err(Error::Io { action: format!("lock {}", path.display()), source });
                }
            }
            if TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Port { number, _lock: file });
            }
        }
        Err(Error::NoPort { server, tries: TRIES })
    }

    /// Reserves this port, which the caller has chosen.
    fn given(number: u16, server: &'static str) -> Result<Port, Error> {
        let path = private::directory("ports")?.join(number.to_string());
        let file = File::create(&path).during(|| format!("create {}", path.display()))?;
        if file.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
            return Ok(Port { number, _lock: file });
        }
        Err(Error::PortTaken { server, port: number })
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }
}

/// Returns the next offset in the range of ports. The start depends on the process id and the
/// clock, so that processes that start together seldom try the same ports.
fn next_offset() -> u16 {
    static WALK: AtomicU16 = AtomicU16::new(0);
    let step = WALK.fetch_add(1, Ordering::Relaxed);
    let nanoseconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.subsec_nanos());
    let start = std::process::id().wrapping_mul(7919).wrapping_add(nanoseconds / 1_000);
    ((start + u32::from(step)) % u32::from(COUNT)) as u16
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, net::TcpListener};

    use super::{Port, PortChoice};
    use crate::error::Error;

    #[test]
    fn a_reserved_port_is_free_and_is_given_to_nobody_else() {
        let ports: Vec<Port> = (0..50).map(|_| Port::reserve("test").unwrap()).collect();
        let distinct: BTreeSet<u16> = ports.iter().map(Port::number).collect();
        assert_eq!(distinct.len(), ports.len());
        for port in &ports {
            TcpListener::bind(("127.0.0.1", port.number())).unwrap();
        }
        let taken = Port::given(ports[0].number(), "test").unwrap_err();
        assert!(matches!(taken, Error::PortTaken { .. }), "{taken}");
    }

    #[test]
    fn a_given_port_is_refused_while_another_program_listens_there() {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let number = listener.local_addr().unwrap().port();
        let taken = Port::given(number, "test").unwrap_err().to_string();
        assert!(taken.contains(&number.to_string()), "{taken}");
        assert_ne!(Port::choose(PortChoice::Preferred(number), "test").unwrap().number(), number);
        drop(listener);
        assert_eq!(Port::given(number, "test").unwrap().number(), number);
    }
}
