//! Maps that send packets elsewhere: to interfaces and to other CPUs.

use super::{Map, Object, State, maps, refuse};
use crate::kinds::{AttachType, MapType};
use std::io;

/// Longest queue of a CPU.
const LONGEST_QUEUE: u32 = 16384;

fn words(value: &[u8]) -> (u32, i32) {
    let word = |at: usize| value.get(at..at + 4).map_or([0; 4], |word| word.try_into().expect("four bytes"));
    (u32::from_ne_bytes(word(0)), i32::from_ne_bytes(word(4)))
}

impl Map {
    /// Returns the ids of the programs that run where packets are sent.
    pub(super) fn programs(&self) -> impl Iterator<Item = u32> {
        let storage = self.storage();
        let refers = matches!(storage, maps::Storage::References | maps::Storage::ReferencesByKey);
        let programs = self.values.values().map(|value| words(value).1.cast_unsigned());
        programs.filter(move |id| refers && *id != 0)
    }

    /// Forgets an interface that is gone (`dev_map_notification`).
    pub(super) fn forget_interface(&mut self, ifindex: u32) {
        if [MapType::DEVMAP, MapType::DEVMAP_HASH].contains(&self.info.map_type) {
            self.values.retain(|_, value| words(value).0 != ifindex);
        }
    }
}

impl State {
    /// Returns a value as it is told: with the id of a program for its descriptor. Refuses what cannot be sent to.
    pub(super) fn referred(&self, map_type: MapType, value: &[u8]) -> io::Result<Vec<u8>> {
        let attach_type = match map_type {
            MapType::DEVMAP | MapType::DEVMAP_HASH => AttachType::XDP_DEVMAP,
            MapType::CPUMAP => AttachType::XDP_CPUMAP,
            _ => return Ok(value.to_vec()),
        };
        let (first, descriptor) = words(value);
        if map_type == MapType::CPUMAP && first > LONGEST_QUEUE {
            return refuse(libc::EOVERFLOW);
        }
        if map_type != MapType::CPUMAP && !self.devices.values().any(|device| device.index == first) {
            return refuse(libc::EINVAL);
        }
        if descriptor <= 0 {
            return Ok([&value[..4], &vec![0; value.len() - 4]].concat());
        }
        match self.open.get(&descriptor).map(|open| open.object) {
            Some(Object::Program(id)) if self.programs[&id].expected_attach_type == attach_type => {
                Ok([first.to_ne_bytes(), id.to_ne_bytes()].concat())
            }
            Some(_) | None => refuse(libc::EINVAL),
        }
    }
}
