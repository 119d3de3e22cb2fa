#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| bpfapply_fuzz::host::state(input));
