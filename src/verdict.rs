//! What programs return: the kernel's names for it, by the type of the program (`linux/bpf.h`, `linux/pkt_cls.h`,
//! `linux/netfilter.h`).

use crate::kinds::ProgramType;

/// Names of numbers. Of several names for one number the first is written.
type Names = &'static [(&'static str, i32)];

const XDP: Names = &[("XDP_ABORTED", 0), ("XDP_DROP", 1), ("XDP_PASS", 2), ("XDP_TX", 3), ("XDP_REDIRECT", 4)];
const TC: Names = &[
    ("TC_ACT_UNSPEC", -1),
    ("TC_ACT_OK", 0),
    ("TC_ACT_RECLASSIFY", 1),
    ("TC_ACT_SHOT", 2),
    ("TC_ACT_PIPE", 3),
    ("TC_ACT_STOLEN", 4),
    ("TC_ACT_QUEUED", 5),
    ("TC_ACT_REPEAT", 6),
    ("TC_ACT_REDIRECT", 7),
    ("TC_ACT_TRAP", 8),
    ("TCX_NEXT", -1),
    ("TCX_PASS", 0),
    ("TCX_DROP", 2),
    ("TCX_REDIRECT", 7),
];
const LWT: Names = &[("BPF_OK", 0), ("BPF_DROP", 2), ("BPF_REDIRECT", 7), ("BPF_LWT_REROUTE", 128)];
const FLOW: Names = &[("BPF_OK", 0), ("BPF_DROP", 2), ("BPF_FLOW_DISSECTOR_CONTINUE", 129)];
const SK: Names = &[("SK_DROP", 0), ("SK_PASS", 1)];
const NF: Names = &[("NF_DROP", 0), ("NF_ACCEPT", 1)];

/// Returns the names that programs of a type have for what they return; none where numbers are all there is.
fn names(program_type: ProgramType) -> Names {
    match program_type {
        ProgramType::XDP => XDP,
        ProgramType::SCHED_CLS | ProgramType::SCHED_ACT => TC,
        ProgramType::LWT_IN | ProgramType::LWT_OUT | ProgramType::LWT_XMIT | ProgramType::LWT_SEG6LOCAL => LWT,
        ProgramType::FLOW_DISSECTOR => FLOW,
        ProgramType::SK_LOOKUP => SK,
        ProgramType::NETFILTER => NF,
        _ => &[],
    }
}

/// Writes what a program returned: its name, else the number.
pub fn name(program_type: ProgramType, verdict: u32) -> String {
    let known = names(program_type).iter().find(|(_, number)| *number == verdict.cast_signed());
    known.map_or_else(|| verdict.cast_signed().to_string(), |(name, _)| (*name).to_owned())
}

/// Finds the number of a name.
///
/// # Errors
/// The names that there are; none where programs of the type return mere numbers.
pub fn number(program_type: ProgramType, name: &str) -> Result<u32, Vec<String>> {
    let names = names(program_type);
    let known = names.iter().find(|(known, _)| *known == name);
    let number =
        known.map(|(_, number)| number.cast_unsigned()).or_else(|| name.parse::<i32>().ok().map(i32::cast_unsigned));
    number.ok_or_else(|| names.iter().map(|(name, _)| (*name).to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_have_names_by_type() {
        for (program_type, verdict, wanted) in [
            (ProgramType::XDP, 1, "XDP_DROP"),
            (ProgramType::XDP, 77, "77"),
            (ProgramType::SCHED_CLS, u32::MAX, "TC_ACT_UNSPEC"),
            (ProgramType::CGROUP_SKB, 1, "1"),
            (ProgramType::NETFILTER, 0, "NF_DROP"),
        ] {
            assert_eq!(name(program_type, verdict), wanted);
            assert_eq!(number(program_type, wanted), Ok(verdict));
        }
        assert_eq!(number(ProgramType::SCHED_CLS, "TCX_DROP"), Ok(2));
        assert_eq!(number(ProgramType::CGROUP_SKB, "SK_PASS"), Err(Vec::new()));
    }
}
