//! Packets: captures of them, and what files of tests say of them.

use bpfapply::desired::Span;
use bpfapply::diag::{self, Source};
use bpfapply::kinds::ProgramType;
use bpfapply::manifest::{self, At, Context, Manifest, PacketAfter, PacketSource, Test};
use bpfapply::packet::{self, Layer, capture};
use bpfapply::packet_tests::{self, Way};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// More bytes of a packet than that are the same again.
const MAX_BYTES: usize = 256;
/// The types of programs that packets are given to in different ways.
const TYPES: &[ProgramType] = &[
    ProgramType::XDP,
    ProgramType::SCHED_CLS,
    ProgramType::CGROUP_SKB,
    ProgramType::FLOW_DISSECTOR,
    ProgramType::SK_LOOKUP,
    ProgramType::NETFILTER,
];

/// A capture: each of its packets taken apart, and given to programs. So are the bytes themselves.
pub fn capture(input: &[u8]) {
    dissect(input);
    match capture::packets(input) {
        Ok(packets) => packets.iter().for_each(|packet| dissect(packet)),
        Err(error) => assert!(!error.to_string().is_empty(), "refused without a reason"),
    }
}

fn dissect(bytes: &[u8]) {
    let seen = packet::read(bytes);
    let mut end = 0;
    for found in &seen.headers {
        assert!(found.place.start == end && found.place.end > end, "headers lie one behind the other");
        end = found.place.end;
        for field in found.protocol.fields {
            let number = packet::field(bytes, found, field.name).expect("it has its fields");
            assert!(number <= field.most() && !field.show(number).to_string().is_empty());
        }
    }
    assert!(seen.payload == end && end <= bytes.len(), "the headers end where the rest begins");
    assert!(!packet::summary(bytes).contains('\n'), "a packet is said in one line");
    for byte in 0..bytes.len().min(MAX_BYTES) {
        assert_eq!(packet::place(&seen, byte) == "payload", byte >= seen.payload, "byte {byte}");
    }
    for program_type in TYPES {
        give(*program_type, bytes, &Context::default());
    }
}

/// Makes what a program of a type gets for a packet.
fn give(program_type: ProgramType, bytes: &[u8], context: &Context) {
    let way = Way::of(program_type).expect("programs of this type are tested");
    let frame = At { value: bytes.to_vec(), span: Span::default() };
    match packet_tests::input((way, program_type), frame, (context, Some(1)), 1) {
        Ok(input) => assert!(input.packet.is_none_or(|packet| packet.len() <= bytes.len())),
        Err(problems) => assert!(!problems.is_empty(), "refused without a reason"),
    }
}

/// What the tests are beside.
const BESIDE: &str = concat!(
    include_str!("../packets/plan.toml"),
    "[map.secret]\ntype = 'hash'\nkey_size = 4\nvalue_size = 4\nmax_entries = 8\nsensitive = true\n",
);

static MANIFEST: LazyLock<Manifest> =
    LazyLock::new(|| manifest::parse(BESIDE, &BTreeMap::new()).expect("it is a manifest"));

/// A file of tests; what is wrong with it is also shown, without secrets.
pub fn tests(input: &[u8]) {
    let Ok(text) = str::from_utf8(input) else { return };
    let redacted = manifest::redacted_tests(text, &MANIFEST);
    assert_eq!(redacted.len(), text.len(), "what is hidden keeps the places of the rest");
    match manifest::parse_tests(text, &MANIFEST) {
        Ok(tests) => tests.values().flatten().for_each(meet),
        Err(problems) => {
            let _ = diag::render(&problems, Some(&Source::new("plan.test.toml", &redacted)), false);
        }
    }
}

/// Builds the packet of a test, gives it to programs, and compares it with what is expected.
fn meet(test: &Test) {
    let bytes = match &test.packet.value {
        PacketSource::Layers(layers) => built(layers),
        PacketSource::Bytes(bytes) => bytes.clone(),
        PacketSource::Capture { .. } => return,
    };
    dissect(&bytes);
    for program_type in TYPES {
        give(*program_type, &bytes, &test.context);
    }
    if let Some(PacketAfter::Layers(layers)) = test.after.packet.as_ref().map(|after| &after.value) {
        let _ = (built(layers), packet::compare(layers, &bytes));
    }
}

fn built(layers: &[Layer]) -> Vec<u8> {
    assert_eq!(packet::fault(layers), None, "only packets that can be built are read");
    let bytes = packet::build(layers);
    let says_nothing = layers.iter().all(|layer| match layer {
        Layer::Header { said, .. } => said.is_empty(),
        Layer::Payload(_) => true,
    });
    // What is said may make it another packet.
    assert!(!says_nothing || packet::compare(layers, &bytes).is_empty(), "read as it was built");
    bytes
}
