//! What the fuzz targets share with the tests that replay their findings.

#[path = "../../tests/corpus/host.rs"]
pub mod host;
#[path = "../../tests/corpus/packets.rs"]
pub mod packets;
#[path = "../../tests/corpus/seeds.rs"]
pub mod seeds;
#[path = "../../tests/corpus/targets.rs"]
pub mod targets;
