//! Health checks: what has to work after an apply because it worked before.

use crate::kernel::{Kernel, ObjectKind};
use crate::manifest::{Check, Probe};
use crate::names::{MapName, PinPath};
use crate::spec::user_value_size;
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, Read as _};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs as _};
use std::ops::ControlFlow;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// After what time something that fails is tried again.
const EVERY: Duration = Duration::from_millis(200);
/// How many entries of a map are looked at for a change.
const ENTRIES: usize = 4096;

/// Runs a check until it passes or its time is over.
///
/// # Errors
/// Why it does not pass, as a sentence without capital and full stop.
pub fn run<K: Kernel>(check: &Check, kernel: &K, pin: impl Fn(&MapName) -> Option<PinPath>) -> Result<(), String> {
    let end = Instant::now() + check.timeout;
    loop {
        let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        let result = match &check.probe {
            Probe::Tcp(address) => tcp(address, left),
            Probe::Http(url) => http(url, left),
            Probe::Ping(address) => ping(*address, left.min(Duration::from_secs(1))),
            Probe::Command(words) => command(words, left),
            Probe::Counter(map) => counter(kernel, pin(map).as_ref(), left),
        };
        match result {
            Ok(()) => return Ok(()),
            Err(why) if Instant::now() + EVERY >= end => return Err(why),
            Err(_) => thread::sleep(EVERY),
        }
    }
}

fn tcp(address: &str, limit: Duration) -> Result<(), String> {
    let addresses = address.to_socket_addrs().map_err(|error| error.to_string())?;
    let mut why = "the name has no address".to_owned();
    for address in addresses {
        match TcpStream::connect_timeout(&address, limit) {
            Ok(_) => return Ok(()),
            Err(error) => why = error.to_string(),
        }
    }
    Err(why)
}

fn http(url: &str, limit: Duration) -> Result<(), String> {
    let seconds = limit.as_secs().max(1);
    let response = minreq::get(url).with_timeout(seconds).send_lazy().map_err(|error| error.to_string())?;
    match response.status_code {
        200..=299 => Ok(()),
        status => Err(format!("the status is {status}")),
    }
}

/// The number by which we know our own echo requests.
const ECHO_SEQUENCE: u16 = 1;

/// Sends an echo request (RFC 792, RFC 4443) and waits for its reply.
fn ping(address: IpAddr, limit: Duration) -> Result<(), String> {
    let end = Instant::now() + limit;
    let id = std::process::id() as u16;
    let (domain, protocol, request, reply) = match address {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4, 8, 0),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6, 128, 129),
    };
    let asked = || -> io::Result<bool> {
        let mut socket = Socket::new(domain, Type::RAW, Some(protocol))?;
        socket.connect(&SocketAddr::new(address, 0).into())?;
        socket.send(&echo(request, id))?;
        let mut buffer = [0; 1500];
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            socket.set_read_timeout(Some(left))?;
            let length = match socket.read(&mut buffer) {
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            // What an IPv4 socket receives starts with the header of the packet.
            let header = if address.is_ipv4() { usize::from(buffer[0] & 0xf) * 4 } else { 0 };
            let is_reply = |message: &[u8]| {
                message.len() >= 8
                    && message[0] == reply
                    && message[4..8] == [id.to_be_bytes(), ECHO_SEQUENCE.to_be_bytes()].concat()[..]
            };
            if buffer[..length].get(header..).is_some_and(is_reply) {
                return Ok(true);
            }
        }
        Ok(false)
    };
    match asked() {
        Ok(true) => Ok(()),
        Ok(false) => Err("no reply came".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Makes an echo request. The kernel fills in the checksum for IPv6 only (RFC 3542, 3.1).
fn echo(request: u8, id: u16) -> [u8; 8] {
    let ([a, b], [c, d]) = (id.to_be_bytes(), ECHO_SEQUENCE.to_be_bytes());
    let mut message = [request, 0, 0, 0, a, b, c, d];
    let words = message.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum: u32 = words.sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

/// Runs a program; one that does not end in time is killed.
fn command(words: &[String], limit: Duration) -> Result<(), String> {
    let [program, arguments @ ..] = words else { return Err("there is no program".to_owned()) };
    let end = Instant::now() + limit;
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) if status.success() => return Ok(()),
            Some(status) => return Err(status.to_string()),
            None if Instant::now() >= end => {
                // It may just have ended.
                let _ = child.kill();
                let _ = child.wait();
                return Err("it did not end in time".to_owned());
            }
            None => thread::sleep(Duration::from_millis(10)),
        }
    }
}

/// Looks at the contents of a map until they change.
fn counter<K: Kernel>(kernel: &K, pin: Option<&PinPath>, limit: Duration) -> Result<(), String> {
    let end = Instant::now() + limit;
    let pin = pin.ok_or("the map has no pin")?;
    let read = || contents(kernel, pin).map_err(|error| error.to_string());
    let first = read()?;
    while Instant::now() < end {
        thread::sleep(Duration::from_millis(50));
        if read()? != first {
            return Ok(());
        }
    }
    Err("its contents did not change".to_owned())
}

/// Reads the first entries of a map: keys with their values.
fn contents<K: Kernel>(kernel: &K, pin: &PinPath) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let (kind, map) = kernel.open_pin(pin)?;
    if kind != ObjectKind::Map {
        return Err(io::Error::other("it is no map"));
    }
    let info = kernel.map_info(&map)?;
    let sizes = (info.key_size as usize, user_value_size(info.map_type, info.value_size, &kernel.host()?));
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    kernel.read_entries(&map, sizes, &mut |more_keys, more_values| {
        keys.extend_from_slice(more_keys);
        values.extend_from_slice(more_values);
        if keys.len() < ENTRIES * sizes.0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok((keys, values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn check(probe: Probe) -> Result<(), String> {
        let check = Check { name: "test".to_owned(), probe, timeout: Duration::from_millis(300) };
        run(&check, &crate::kernel::fake::Fake::new(), |_| None)
    }

    #[test]
    fn commands_end_with_0_in_time() {
        let command = |words: &[&str]| check(Probe::Command(words.iter().map(ToString::to_string).collect()));
        assert_eq!(command(&["true"]), Ok(()));
        assert!(command(&["false"]).is_err_and(|why| why.contains("exit status: 1")));
        assert!(command(&["/nonexistent/program"]).is_err_and(|why| why.contains("No such file")));
        let start = Instant::now();
        assert!(command(&["sleep", "60"]).is_err_and(|why| why.contains("in time")));
        assert!(start.elapsed() < Duration::from_secs(20));
    }

    #[test]
    fn ports_take_connections() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
        let address = listener.local_addr().expect("it has one").to_string();
        assert_eq!(check(Probe::Tcp(address.clone())), Ok(()));
        drop(listener);
        assert!(check(Probe::Tcp(address.clone())).is_err());
        assert!(check(Probe::Http(format!("http://{address}/"))).is_err());
    }

    #[test]
    fn answers_have_a_good_status() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("there is a port");
        let url = format!("http://{}/health", listener.local_addr().expect("it has one"));
        thread::spawn(move || {
            use std::io::Write as _;
            for (number, stream) in listener.incoming().enumerate() {
                let status = if number == 0 { "204 No Content" } else { "503 Service Unavailable" };
                let mut stream = stream.expect("a connection");
                let _ = stream.read(&mut [0; 1024]);
                let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            }
        });
        assert_eq!(check(Probe::Http(url.clone())), Ok(()));
        assert_eq!(check(Probe::Http(url)), Err("the status is 503".to_owned()));
    }

    #[test]
    fn an_echo_request_has_its_checksum() {
        let message = echo(8, 0x1234);
        let words = message.chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
        let sum: u32 = words.sum();
        assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff, "RFC 1071: the sum of a good message is all ones");
    }
}
