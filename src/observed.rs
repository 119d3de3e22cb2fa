//! What is: plain data, read from the kernel and bpffs. How it is read is `kernel::observe`.

use crate::kernel::{Interface, LinkInfo, MapInfo, ProgramInfo};
use crate::names::{Digest, LinkName, MapName, PinPath, ProgramName};
use crate::record::Record;
use crate::spec::{Host, MapSpec};
use std::collections::{BTreeMap, BTreeSet};

/// What a host has of the things that a manifest or a record names.
#[derive(Debug, Clone)]
pub struct Observed {
    /// What decides the shape of maps.
    pub host: Host,
    /// False when the folder that should be a bpffs is not one, or does not exist.
    pub bpffs: bool,
    /// Folders that exist, of those that were asked for.
    pub directories: BTreeSet<PinPath>,
    /// Pins that exist, of those that were asked for.
    pub pins: BTreeMap<PinPath, Pinned>,
    /// Maps that exist, of the ids that were asked for.
    pub maps_by_id: BTreeMap<u32, ObservedMap>,
    /// Interfaces that exist, of those that were asked for.
    pub interfaces: BTreeMap<String, Interface>,
    /// Cgroups that exist, of the paths that were asked for, as the manifest writes them: absolute path and id.
    pub cgroups: BTreeMap<String, (std::path::PathBuf, u64)>,
    /// The deployment's record, where it has one.
    pub record: Option<Record>,
}

/// What a pin stands for.
#[derive(Debug, Clone)]
pub enum Pinned {
    /// A map.
    Map(ObservedMap),
    /// A program.
    Program(ObservedProgram),
    /// A link.
    Link(LinkInfo),
}

/// A map that exists.
#[derive(Debug, Clone)]
pub struct ObservedMap {
    /// What the kernel says of it.
    pub info: MapInfo,
    /// The same as a definition, with BTF; without the inner template, which the kernel does not tell.
    pub spec: MapSpec,
    /// The value of a read-only data section: a frozen array of one entry and at most 64 KiB, read-only for programs.
    pub frozen_value: Option<Vec<u8>>,
}

/// A program that exists.
#[derive(Debug, Clone)]
pub struct ObservedProgram {
    /// What the kernel says of it.
    pub info: ProgramInfo,
    /// The fingerprints that its BTF carries, by the manifest's name of the program.
    pub fingerprints: BTreeMap<String, Digest>,
}

/// What observe has to look for.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// The folder that should be a bpffs; while it is not one, nothing below it is asked for.
    pub bpffs: Option<PinPath>,
    /// The pin of the deployment's record.
    pub record: Option<PinPath>,
    /// Pins.
    pub pins: BTreeSet<PinPath>,
    /// Folders.
    pub directories: BTreeSet<PinPath>,
    /// Maps by id.
    pub map_ids: BTreeSet<u32>,
    /// Interfaces by name.
    pub interfaces: BTreeSet<String>,
    /// Cgroups by path: absolute, or relative to the cgroup2 mount.
    pub cgroups: BTreeSet<String>,
}

/// Names that a plan and an outcome speak of; kept here so that all agree on the order.
pub type Names = (BTreeSet<MapName>, BTreeSet<ProgramName>, BTreeSet<LinkName>);
