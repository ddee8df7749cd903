//! A server as on another host: in a network namespace with an address of its own. The way to it
//! can swallow every packet, and the host can vanish and come back. Needs the rights of root.
//!
//! Only a relay is in the namespace. It forwards to the server on this machine.

use std::fs::File;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Context as _, anyhow};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::system::run;

/// The hardware addresses of this side and of the host.
const HERE: &str = "02:74:68:00:00:01";
const THERE: &str = "02:74:68:00:00:02";
/// The hardware address of no device: the kernel of the other side drops the packet.
const NOWHERE: &str = "02:74:68:00:00:ff";

static HOSTS: AtomicU16 = AtomicU16::new(0);

/// A host with one server. It disappears when dropped.
#[derive(Debug)]
pub struct RemoteHost {
    link: Link,
    server: u16,
    port: u16,
    relay: JoinHandle<()>,
}

/// A network namespace, and the link to it.
#[derive(Debug)]
struct Link {
    /// The name of the namespace, and of the device on this side.
    name: String,
    device_there: String,
    here: Ipv4Addr,
    there: Ipv4Addr,
}

impl RemoteHost {
    /// Creates a host before a server of this machine, which listens on a loopback port. Must be
    /// called within a runtime.
    ///
    /// # Errors
    /// Fails without the rights of root.
    pub fn before(server: u16) -> anyhow::Result<Self> {
        let link = Link::create()?;
        let (listener, port) = link.listen(0)?;
        let relay = tokio::spawn(accept(TcpListener::from_std(listener)?, server));
        Ok(Self { link, server, port, relay })
    }

    /// Returns why a host cannot be created here; `None` if it can.
    pub fn obstacle() -> Option<String> {
        Link::create().err().map(|error| format!("{error:#}"))
    }

    /// Returns the address of the server on the host.
    pub fn address(&self) -> SocketAddr {
        (self.link.there, self.port).into()
    }

    /// Makes the way to the host swallow every packet, in both directions.
    pub fn swallow(&self) -> anyhow::Result<()> {
        self.link.set_neighbours(NOWHERE, NOWHERE)
    }

    /// Ends [`swallow`](Self::swallow). Connections that are not given up yet go on.
    pub fn heal(&self) -> anyhow::Result<()> {
        self.link.set_neighbours(HERE, THERE)
    }

    /// Replaces the host by another one with the same address, which knows no connection of before.
    /// No side is told that a connection has ended.
    pub fn replace(&mut self) -> anyhow::Result<()> {
        self.swallow()?;
        self.link.delete();
        self.relay.abort();
        self.link.set_up()?;
        let (listener, _) = self.link.listen(self.port)?;
        self.relay = tokio::spawn(accept(TcpListener::from_std(listener)?, self.server));
        Ok(())
    }
}

impl Drop for RemoteHost {
    fn drop(&mut self) {
        self.relay.abort();
    }
}

impl Link {
    fn create() -> anyhow::Result<Self> {
        let number = HOSTS.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id() % 0x1_0000;
        // Of the network that RFC 2544 reserves for tests. Another process may use the same one.
        let block = (process as u16).wrapping_mul(7).wrapping_add(number) % 0x4000 * 4;
        let [high, low] = block.to_be_bytes();
        let link = Self {
            name: format!("thk{process:x}n{number}"),
            device_there: format!("thk{process:x}r{number}"),
            here: Ipv4Addr::new(198, 18, high, low + 1),
            there: Ipv4Addr::new(198, 18, high, low + 2),
        };
        link.set_up()?;
        Ok(link)
    }

    fn set_up(&self) -> anyhow::Result<()> {
        let Self { name, device_there, here, there } = self;
        run("ip", &["netns", "add", name])?;
        let peer = ["peer", "name", device_there, "address", THERE, "netns", name];
        run("ip", &[&["link", "add", name, "address", HERE, "type", "veth"], &peer[..]].concat())?;
        run("ip", &["address", "add", &format!("{here}/30"), "dev", name])?;
        run("ip", &["-n", name, "address", "add", &format!("{there}/30"), "dev", device_there])?;
        run("ip", &["link", "set", name, "up"])?;
        run("ip", &["-n", name, "link", "set", device_there, "up"])?;
        self.set_neighbours(HERE, THERE)
    }

    /// Sets the hardware addresses to which each side sends its packets. The kernel asks for none.
    fn set_neighbours(&self, here: &str, there: &str) -> anyhow::Result<()> {
        let neighbour = |address: Ipv4Addr, hardware: &str, device: &str, namespace: &[&str]| {
            let address = address.to_string();
            let set = ["neigh", "replace", &address, "lladdr", hardware, "nud", "permanent", "dev", device];
            run("ip", &[namespace, &set[..]].concat()).map(drop)
        };
        neighbour(self.there, there, &self.name, &[])?;
        neighbour(self.here, here, &self.device_there, &["-n", &self.name])
    }

    /// Listens in the namespace. Returns the listener and its port.
    fn listen(&self, port: u16) -> anyhow::Result<(StdListener, u16)> {
        let namespace = File::open(format!("/run/netns/{}", self.name))?;
        let address = SocketAddr::from((self.there, port));
        // A socket stays in the namespace of the thread that opened it.
        let thread = std::thread::spawn(move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            let listener = StdListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let port = listener.local_addr()?.port();
            anyhow::Ok((listener, port))
        });
        thread.join().map_err(|_| anyhow!("a thread panicked"))?.context("no listener in the namespace")
    }

    /// Deletes the link and the name of the namespace. The namespace goes with its last socket.
    fn delete(&self) {
        // Either may be gone already.
        drop(run("ip", &["link", "delete", &self.name]));
        drop(run("ip", &["netns", "delete", &self.name]));
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.delete();
    }
}

async fn accept(listener: TcpListener, server: u16) {
    let mut connections = tokio::task::JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        connections.spawn(async move {
            let Ok(mut server) = TcpStream::connect(("127.0.0.1", server)).await else { return };
            // An error is the end of the connection.
            let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test(flavor = "multi_thread")]
    async fn packets_vanish_until_the_way_is_healed_and_a_replaced_host_knows_no_connection() {
        if let Some(obstacle) = RemoteHost::obstacle() {
            crate::skipped("packets vanish", &obstacle);
            return;
        }
        let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = echo.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = echo.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    drop(tokio::io::copy(&mut from, &mut to).await);
                });
            }
        });
        let mut host = RemoteHost::before(port).unwrap();
        let mut client = TcpStream::connect(host.address()).await.unwrap();
        let mut answer = [0];
        client.write_all(b"a").await.unwrap();
        client.read_exact(&mut answer).await.unwrap();
        host.swallow().unwrap();
        client.write_all(b"b").await.unwrap();
        let silent = tokio::time::timeout(Duration::from_millis(300), client.read_exact(&mut answer)).await;
        assert!(silent.is_err(), "{silent:?}");
        host.heal().unwrap();
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"b");

        host.replace().unwrap();
        let asked = async {
            client.write_all(b"c").await?;
            client.read_exact(&mut answer).await
        };
        assert!(asked.await.is_err(), "the new host resets the connection");
        let mut client = TcpStream::connect(host.address()).await.unwrap();
        client.write_all(b"d").await.unwrap();
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"d");
    }
}
