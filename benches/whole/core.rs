//! The workload of CO-RE: four objects that ask for more than 7,000 sizes, offsets and fields of the kernel's structs.

use bpfapply::btf::kernel::KernelTypes;
use bpfapply::btf::{Kind, Member, Type};
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const OBJECTS: usize = 4;
/// The least that is to be asked.
const RELOCATIONS: usize = 7000;
/// As much as a tool that watches a part of the kernel has, each with the same questions.
const PROGRAMS: usize = 6;
const FIELDS: usize = 9;
const STRUCTS_OF_OBJECT: usize = 24;
const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// Structs that every kernel has.
const STRUCTS: [&str; 42] = [
    "task_struct",
    "mm_struct",
    "vm_area_struct",
    "file",
    "inode",
    "dentry",
    "super_block",
    "cred",
    "nsproxy",
    "pid",
    "signal_struct",
    "sighand_struct",
    "files_struct",
    "fs_struct",
    "kiocb",
    "bio",
    "request",
    "request_queue",
    "gendisk",
    "block_device",
    "page",
    "rq",
    "cfs_rq",
    "sched_entity",
    "sk_buff",
    "sock",
    "net_device",
    "net",
    "tcp_sock",
    "inet_sock",
    "udp_sock",
    "inet_connection_sock",
    "request_sock",
    "neighbour",
    "dst_entry",
    "rtable",
    "socket",
    "proto",
    "cgroup",
    "css_set",
    "module",
    "kmem_cache",
];

/// The barriers keep the compiler from gathering all answers at the start, for which the stack has no room.
const HEAD: &str = "#include \"vmlinux.h\"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
char LICENSE[] SEC(\"license\") = \"GPL\";
#define ADD(number) do { sum += (number); barrier_var(sum); barrier(); } while (0)
#define READ(field) \\
	do { barrier_var(p); word = 0; bpf_core_read(&word, sizeof(field), &(field)); ADD(word); } while (0)
";

/// Makes the objects in `folder` and a manifest for them; returns its path.
pub fn make(folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    let types = KernelTypes::parse(Box::new(fs::read(VMLINUX)?))?;
    let header = run(Command::new("bpftool").args(["btf", "dump", "file", VMLINUX, "format", "c"]))?;
    fs::write(folder.join("vmlinux.h"), header)?;
    let mut manifest = "version = 1\nname = \"core\"\n".to_owned();
    let mut relocations = 0;
    for object in 0..OBJECTS {
        let wanted = STRUCTS.iter().cycle().skip(object * STRUCTS.len() / OBJECTS).take(STRUCTS_OF_OBJECT);
        let (body, asked) = questions(&types, wanted)?;
        let mut source = HEAD.to_owned();
        writeln!(manifest, "[object.o{object}]\npath = \"o{object}.bpf.o\"")?;
        for program in 0..PROGRAMS {
            write!(source, "SEC(\"kprobe/schedule\") int p{program}(void *ctx)\n{{\n")?;
            write!(source, "\tunsigned long sum = {program}, word;\n\tvoid *p = (void *)bpf_get_current_task();\n")?;
            write!(source, "{body}\treturn sum;\n}}\n")?;
            writeln!(manifest, "[program.o{object}-p{program}]\nfrom = \"o{object}:p{program}\"")?;
            relocations += asked;
        }
        let path = folder.join(format!("o{object}.bpf.c"));
        fs::write(&path, source)?;
        super::compile(&path, &path.with_extension("o"), &[&format!("-I{}", folder.display())])?;
    }
    if relocations < RELOCATIONS {
        return Err(format!("the structs of this kernel make only {relocations} relocations").into());
    }
    let path = folder.join("plan.toml");
    fs::write(&path, manifest)?;
    Ok(path)
}

/// Returns statements that ask for fields of structs, for their sizes, and for what exists; and how many they are.
fn questions<'a>(
    types: &KernelTypes,
    structs: impl Iterator<Item = &'a &'a str>,
) -> Result<(String, usize), Box<dyn Error>> {
    let (mut text, mut asked) = (String::new(), 0);
    for name in structs {
        let Some(id) = types.find(Kind::Struct, name)? else { continue };
        let ty = types.get(id)?;
        let Type::Struct { members, .. } = ty else { continue };
        writeln!(text, "\tADD(bpf_core_type_size(struct {name}));\n\tADD(bpf_core_type_exists(struct {name}));")?;
        asked += 2;
        // From all over the struct: finding the last member is more work than finding the first.
        let readable: Vec<&Member> = members.iter().filter(|member| is_readable(types, member)).collect();
        let step = readable.len().div_ceil(FIELDS).max(1);
        for (number, member) in readable.into_iter().step_by(step).enumerate() {
            let field = format!("((struct {name} *)p)->{}", member.name);
            let more = if number % 2 == 0 { "exists" } else { "size" };
            writeln!(text, "\tREAD({field});\n\tADD(bpf_core_field_{more}({field}));")?;
            asked += 2;
        }
    }
    Ok((text, asked))
}

/// Tells whether a member has a name and a word or less.
fn is_readable(types: &KernelTypes, member: &Member) -> bool {
    let ty = types.resolve(member.ty).and_then(|id| types.get(id));
    let fits = ty.is_ok_and(|ty| matches!(*ty, Type::Ptr { .. } | Type::Int { .. } | Type::Enum { .. }));
    fits && member.bitfield_size == 0 && !member.name.is_empty()
}

fn run(command: &mut Command) -> Result<Vec<u8>, Box<dyn Error>> {
    let output = command.output()?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}
