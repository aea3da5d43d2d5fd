//! The way from a node's network to the API server.
//!
//! A node has a network namespace of its own, in which nobody hears the API server, for that listens on the machine's loopback address. A
//! thread enters the namespace, opens sockets there and comes back: they stay where they were opened. What connects to them is
//! handed on to the API server from the machine's side.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::io::copy_bidirectional;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::error::{Error, Result};

/// When no connection could be taken, for want of open files.
const AFTER_A_REFUSAL: Duration = Duration::from_millis(100);

/// Sockets in another network namespace and the thread that serves them. Dropping it closes all of them, and with them the namespace.
#[derive(Debug)]
pub(super) struct Relay {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// Listens on `from` in the namespace of the file `network` (such as `/proc/<pid>/ns/net`), for `to` in our own.
    pub(super) fn start(network: &Path, from: Vec<SocketAddr>, to: SocketAddr) -> Result<Self> {
        let namespace = File::open(network).map_err(Error::file(network))?;
        let (ready, outcome) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("sandbox-node-relay".to_owned())
            .spawn(move || match open(&namespace, &from) {
                Ok(listeners) => {
                    // Open sockets are what counts: an open file would only hold the namespace longer.
                    drop(namespace);
                    serve(listeners, to, stopped, ready);
                }
                // Nobody listens only if the one who started it has panicked.
                Err(error) => drop(ready.send(Err(error))),
            })
            .map_err(Error::file("thread sandbox-node-relay"))?;
        let relay = Self { stop: Some(stop), thread: Some(thread) };
        outcome.recv().map_err(|_| Error::NoSpawner)??;
        Ok(relay)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It has nothing to give, and what made it panic has been printed.
            let _ = thread.join();
        }
    }
}

/// Opens the sockets in the namespace and comes back. A thread that cannot come back ends with the error and does nothing else.
fn open(namespace: &File, addresses: &[SocketAddr]) -> Result<Vec<TcpListener>> {
    let path = "/proc/thread-self/ns/net";
    let own = File::open(path).map_err(Error::file(path))?;
    let enter = |namespace: &File| {
        move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
            .map_err(|error| Error::file("network namespace")(error.into()))
    };
    enter(namespace)?;
    let opened: Result<Vec<TcpListener>> = addresses
        .iter()
        .map(|address| {
            let listener = TcpListener::bind(address).map_err(Error::file(address.to_string()))?;
            listener.set_nonblocking(true).map_err(Error::file(address.to_string()))?;
            Ok(listener)
        })
        .collect();
    enter(&own)?;
    opened
}

fn serve(
    listeners: Vec<TcpListener>,
    to: SocketAddr,
    stopped: oneshot::Receiver<()>,
    ready: mpsc::Sender<Result<()>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(ready.send(Err(Error::file("runtime of the relay")(error)))),
    };
    runtime.block_on(async {
        for listener in listeners {
            match tokio::net::TcpListener::from_std(listener) {
                Ok(listener) => drop(tokio::spawn(accept(listener, to))),
                Err(error) => return drop(ready.send(Err(Error::file("socket of the relay")(error)))),
            }
        }
        drop(ready.send(Ok(())));
        // The sender is dropped, never used: either way it is the end.
        let _ = stopped.await;
    });
}

async fn accept(listener: tokio::net::TcpListener, to: SocketAddr) {
    loop {
        let Ok((mut client, _)) = listener.accept().await else {
            tokio::time::sleep(AFTER_A_REFUSAL).await;
            continue;
        };
        tokio::spawn(async move {
            // A connection that fails is its client's to repeat.
            if let Ok(mut server) = TcpStream::connect(to).await {
                let _ = copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::{Ipv4Addr, TcpStream as Stream};

    #[test]
    fn it_hands_on_what_it_is_sent_until_it_is_dropped() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let here = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let from = here(crate::ports::Port::claim().unwrap().number);
        // Into a namespace that one is in already anybody may go who may go into any.
        let relay =
            match Relay::start(Path::new("/proc/self/ns/net"), vec![from], server.local_addr().unwrap()) {
                Err(Error::File { source, .. }) if source.kind() == std::io::ErrorKind::PermissionDenied => {
                    crate::progress::say(format_args!(
                        "skipped the relay's test: root alone enters a network namespace"
                    ));
                    return;
                }
                started => started.unwrap(),
            };
        let mut client = Stream::connect(from).unwrap();
        client.write_all(b"ping").unwrap();
        let (mut accepted, _) = server.accept().unwrap();
        let mut said = [0; 4];
        accepted.read_exact(&mut said).unwrap();
        assert_eq!(&said, b"ping");
        drop(relay);
        assert_eq!(client.read(&mut said).unwrap_or(0), 0);
        assert!(Stream::connect(from).is_err());
    }
}
