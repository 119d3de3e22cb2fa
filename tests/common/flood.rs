//! A flood of packets from another network namespace, to see whether any passes a filter.

use nix::sched::{CloneFlags, unshare};
use std::net::UdpSocket;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::{fs, thread};

/// Packets that come to `veth0` of this thread's network namespace, until it is dropped.
pub struct Flood {
    sent: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    sender: Option<thread::JoinHandle<()>>,
    receiver: UdpSocket,
}

#[track_caller]
fn sh(script: &str) {
    super::run(Command::new("sh").args(["-c", script])).unwrap_or_else(|error| panic!("{script}: {error}"));
}

impl Flood {
    /// Starts it. Each packet holds the number of a flow: from 1 up to `flows`, and from 1 again.
    pub fn start(flows: u32) -> Self {
        let (ready, is_ready) = mpsc::channel();
        let (go, may_go) = mpsc::channel();
        let (sent, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, stopped) = (Arc::clone(&sent), Arc::clone(&stop));
        let sender = thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("root may");
            let task = fs::read_link("/proc/thread-self").expect("a thread has a number");
            ready.send(task.file_name().map(|name| name.to_owned())).expect("somebody waits");
            may_go.recv().expect("somebody says so");
            sh("ip link set veth1 up && ip addr add 10.9.9.2/24 dev veth1");
            // Without it the address would be asked for, which the filter drops.
            sh("ip neigh replace 10.9.9.1 lladdr 02:00:00:00:00:01 dev veth1 nud permanent");
            let socket = UdpSocket::bind("10.9.9.2:0").expect("an address");
            for flow in (1..=flows).cycle().take_while(|_| !stopped.load(Ordering::Relaxed)) {
                if socket.send_to(&flow.to_le_bytes(), "10.9.9.1:4242").is_ok() {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        let thread = is_ready.recv().expect("the sender starts").expect("a number");
        sh("ip link add veth0 address 02:00:00:00:00:01 type veth peer name veth1");
        sh(&format!("ip link set veth1 netns {}", thread.display()));
        sh("ip link set veth0 up && ip addr add 10.9.9.1/24 dev veth0");
        let receiver = UdpSocket::bind("10.9.9.1:4242").expect("an address");
        receiver.set_nonblocking(true).expect("a socket can");
        go.send(()).expect("the sender waits");
        Self { sent, stop, sender: Some(sender), receiver }
    }

    /// Returns how many packets were sent.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Returns how many packets came through since the last time, as far as the socket could hold them.
    pub fn passed(&self) -> u64 {
        let mut buffer = [0; 64];
        (0..).take_while(|_| self.receiver.recv(&mut buffer).is_ok()).count() as u64
    }

    /// Stops sending.
    pub fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.sender.take().map(thread::JoinHandle::join);
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        self.end();
    }
}
