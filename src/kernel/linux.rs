//! The running kernel: what a command needs around its system call. No decisions live here.

use super::many::{self, Read, Wrote};
use super::places::{self, Places};
use super::routes::Carried;
use super::sys::{self, Log, Object, SizedMap};
use super::{
    Beside, Entry, EntryKind, Excludes, FilePlace, HookInfo, HookPlace, HookRequest, Interface, Kernel, LinkInfo,
    LoadError, MapInfo, MapRequest, ObjectKind, Occupant, Position, ProgramCode, ProgramInfo, ProgramRequest, Queue,
    Ran, RunRequest, Symbols, TakeEntries, TraceRequest, XdpMode, facts, lock, netlink, routes, trace, traffic,
};
use crate::access::{AccountKind, Permissions};
use crate::btf::kernel::Bytes;
use crate::diag::LockHolder;
use crate::direct::{Device, Direct, Feature, Qdisc};
use crate::entries::Entries;
use crate::insn::{FuncRecord, Insn, LinePlace, LineRecord};
use crate::kinds::{AttachType, MapType, Netfilter, ProgramType};
use crate::names::PinPath;
use crate::parallel;
use crate::route::{RouteInfo, RoutePlace};
use crate::spec::Host;
use crate::variables::Patch;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::fs;
use std::io::{self, Read as _};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, DirEntryExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::thread;

/// `CGROUP2_SUPER_MAGIC` of `linux/magic.h`.
const CGROUP2_FS: u32 = 0x6367_7270;

/// Where the kernel shows its own BTF.
const KERNEL_TYPES: &str = "/sys/kernel/btf/vmlinux";

/// The most text that a configuration has, many times over.
const LARGEST_CONFIG: u64 = 16 << 20;

/// Where `ip netns` keeps network namespaces.
const NAMED_NETNS: &str = "/run/netns";

/// The first size of a log buffer: nearly every refusal fits.
const FIRST_LOG: usize = 64 << 10;
/// The last size of a log buffer, a quarter of what the kernel allows (`UINT_MAX >> 2`): more helps nobody.
const LAST_LOG: usize = 256 << 20;

/// The most characters of somebody's command line that are worth reading.
const LONGEST_COMMAND: usize = 200;

/// How many instructions make it worth while to start one more thread that loads programs.
const INSNS_PER_THREAD: usize = 2048;

/// The kernel that runs this process.
#[derive(Debug, Default)]
pub struct Linux {
    /// Whether lifting the limit of locked memory worked, once it was tried.
    memlock_lifted: OnceLock<bool>,
    /// What decides the shape of maps, once somebody asked: it stays for as long as the kernel runs.
    host: OnceLock<Host>,
    /// What it has, once somebody asked: tcx, links of XDP, links of cgroups.
    features: [OnceLock<bool>; 3],
    /// Where pins are changed.
    places: Places,
    /// Whether the kernel was seen not to pin in an open folder: it is older than 6.5.
    pins_by_path: bool,
    /// The locked roots of what this process mounted.
    mounted: BTreeMap<PinPath, fs::File>,
}

impl Linux {
    /// Does something with a program in a route, in the network namespace of an interface.
    fn carried(
        &self,
        program: &Object,
        device: &Device,
        work: impl FnOnce(&Carried<'_>) -> io::Result<()> + Send,
    ) -> io::Result<()> {
        let ProgramInfo { id, name, .. } = self.program_info(program)?;
        let fd = self.number(program);
        beside(self, device, || work(&Carried { fd, name: &name, id }))
    }

    /// Makes one. Nothing is asked yet; this process may then open as many files as it is allowed to, since an apply
    /// holds every map and program open until all of them are there.
    pub fn new() -> Self {
        // With the limit as it is, there may still be room enough.
        let _ = sys::raise_open_files();
        Self::default()
    }

    /// Runs a command that counts against the limit of locked memory before 5.11, where `EPERM` may mean just that:
    /// then lifts the limit, and runs it once more unless the limit was lifted before.
    fn with_memlock<T>(&self, mut run: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        let lifted_before = self.memlock_lifted.get().is_some();
        let result = run();
        match &result {
            Err(error) if error.raw_os_error() == Some(libc::EPERM) && !lifted_before => {}
            _ => return result,
        }
        // Another thread may be at it: its end is waited for. The first error says more than that of the limit.
        let lifted = self.memlock_lifted.get_or_init(|| sys::raise_memlock().is_ok());
        if *lifted { run() } else { result }
    }

    fn load(&self, request: &ProgramRequest<'_, Object>) -> Result<Object, LoadError> {
        let license =
            CString::new(request.license).map_err(|error| LoadError { error: error.into(), log: String::new() })?;
        let first = self.with_memlock(|| sys::prog_load(request, &license, &mut Log::default()));
        with_log(first, |log| sys::prog_load(request, &license, log))
    }
}

impl Kernel for Linux {
    type Fd = Object;
    type Lock = fs::File;

    fn uptime(&self) -> u64 {
        sys::boot_time()
    }

    fn host(&self) -> io::Result<Host> {
        match self.host.get() {
            Some(host) => Ok(*host),
            None => {
                let host =
                    Host { possible_cpus: possible_cpus()?, most_cpus: most_cpus()?, page_size: sys::page_size()? };
                Ok(*self.host.get_or_init(|| host))
            }
        }
    }

    fn is_bpffs(&self, path: &PinPath) -> io::Result<bool> {
        places::is_bpffs(path)
    }

    fn lock(&self, folder: &PinPath) -> io::Result<Option<fs::File>> {
        loop {
            let file = fs::OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(folder.as_str())?;
            match file.try_lock() {
                Ok(()) => {}
                Err(fs::TryLockError::WouldBlock) => return Ok(None),
                Err(fs::TryLockError::Error(error)) => return Err(error),
            }
            // A bpffs may have been mounted on the folder since it was opened.
            let (locked, now) = (file.metadata()?, fs::metadata(folder.as_str())?);
            if (locked.dev(), locked.ino()) == (now.dev(), now.ino()) {
                return Ok(Some(file));
            }
        }
    }

    fn lock_holder(&self, folder: &PinPath) -> io::Result<Option<LockHolder>> {
        let file = fs::metadata(folder.as_str())?;
        let device = (libc::major(file.dev()), libc::minor(file.dev()));
        let locks = fs::read_to_string("/proc/locks")?;
        Ok(lock::holder(&locks, device, file.ino()).map(|pid| LockHolder {
            pid,
            seconds: running_for(pid),
            command: command_line(pid),
        }))
    }

    fn mount_bpffs(&mut self, at: &PinPath) -> io::Result<()> {
        let mount = sys::new_bpffs()?;
        // The mount itself is a mere path, which cannot be locked.
        let root = fs::File::open(format!("/proc/self/fd/{}", mount.as_raw_fd()))?;
        root.try_lock()?;
        sys::move_mount(mount.as_fd(), &c_path(at)?)?;
        self.places.close();
        self.mounted.insert(at.clone(), root);
        Ok(())
    }

    fn unmount_bpffs(&mut self, at: &PinPath) -> io::Result<()> {
        // A mount with an open file stays.
        self.places.close();
        self.mounted.remove(at);
        sys::unmount(&c_path(at)?)
    }

    fn number(&self, fd: &Self::Fd) -> i32 {
        fd.as_fd().as_raw_fd()
    }

    fn list(&self, directory: &PinPath) -> io::Result<Vec<Entry>> {
        // A name that is not UTF-8 is nobody's pin path, whatever stands for its bytes. The folder itself tells kind and
        // inode: nothing is asked again for each name.
        let entry = |entry: fs::DirEntry| {
            let kind = match entry.file_type()? {
                kind if kind.is_dir() => EntryKind::Folder,
                kind if kind.is_symlink() => EntryKind::Symlink,
                _ => EntryKind::Pin,
            };
            Ok(Entry { name: entry.file_name().to_string_lossy().into_owned(), inode: entry.ino(), kind })
        };
        let listed = fs::read_dir(directory.as_str())?.map(|found| found.and_then(entry));
        let mut entries = listed.collect::<io::Result<Vec<_>>>()?;
        entries.sort_unstable();
        Ok(entries)
    }

    fn make_directory(&mut self, path: &PinPath) -> io::Result<()> {
        fs::DirBuilder::new().mode(0o700).create(self.places.place(path)?.path())
    }

    fn remove_directory(&mut self, path: &PinPath) -> io::Result<()> {
        let place = self.places.place(path)?;
        self.places.close();
        fs::remove_dir(place.path())
    }

    fn unpin(&mut self, path: &PinPath) -> io::Result<()> {
        fs::remove_file(self.places.place(path)?.path())
    }

    fn hard_link(&mut self, from: &PinPath, to: &PinPath) -> io::Result<()> {
        fs::hard_link(self.places.place(from)?.path(), self.places.place(to)?.path())
    }

    fn symlink(&mut self, target: &str, at: &PinPath) -> io::Result<()> {
        std::os::unix::fs::symlink(target, self.places.place(at)?.path())
    }

    fn read_symlink(&self, at: &PinPath) -> io::Result<String> {
        Ok(fs::read_link(at.as_str())?.to_string_lossy().into_owned())
    }

    fn permissions(&self, pin: &PinPath) -> io::Result<Permissions> {
        let found = fs::symlink_metadata(pin.as_str())?;
        Ok(Permissions { mode: found.mode() & 0o777, owner: found.uid(), group: found.gid() })
    }

    fn change_mode(&mut self, pin: &PinPath, mode: u32) -> io::Result<()> {
        // `chmod` itself follows symbolic links.
        let opened = self.places.place(pin)?.open()?;
        fs::set_permissions(places::through(&opened), fs::Permissions::from_mode(mode))
    }

    fn change_owner(&mut self, pin: &PinPath, owner: u32, group: u32) -> io::Result<()> {
        std::os::unix::fs::lchown(self.places.place(pin)?.path(), Some(owner), Some(group))
    }

    fn account(&self, kind: AccountKind, name: &str) -> io::Result<Option<u32>> {
        let name = CString::new(name)?;
        match kind {
            AccountKind::User => sys::user(&name),
            AccountKind::Group => sys::group(&name),
        }
    }

    fn rename(&mut self, from: &PinPath, to: &PinPath) -> io::Result<()> {
        let (from, to) = (self.places.place(from)?, self.places.place(to)?);
        self.places.close();
        fs::rename(from.path(), to.path())
    }

    fn rename_new(&mut self, from: &PinPath, to: &PinPath) -> io::Result<()> {
        let (from, to) = (self.places.place(from)?, self.places.place(to)?);
        self.places.close();
        let [from, to] = [from.path(), to.path()].map(|path| CString::new(path).map_err(io::Error::from));
        sys::rename_new(&from?, &to?)
    }

    fn open_pin(&self, path: &PinPath) -> io::Result<(ObjectKind, Object)> {
        let fd = sys::obj_get(&c_path(path)?)?;
        Ok((object_kind(&fd)?, fd.into()))
    }

    fn pin(&mut self, fd: &Object, path: &PinPath) -> io::Result<()> {
        let place = self.places.place(path)?;
        if !self.pins_by_path {
            // Far cheaper than a way through `/proc`, of which an apply would walk one for each pin.
            match sys::obj_pin_at(fd.as_fd(), place.folder(), &CString::new(place.name())?) {
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => self.pins_by_path = true,
                done => return done,
            }
        }
        sys::obj_pin(fd.as_fd(), &CString::new(place.path())?)
    }

    fn create_map(&mut self, request: &MapRequest<'_, Object>) -> io::Result<Object> {
        self.with_memlock(|| sys::map_create(request)).map(Object::from)
    }

    fn map_by_id(&self, id: u32) -> io::Result<Object> {
        sys::map_by_id(id).map(Object::from)
    }

    fn map_info(&self, map: &Object) -> io::Result<MapInfo> {
        let info = sys::map_info(map.as_fd())?;
        Ok(MapInfo {
            id: info.id,
            map_type: MapType(info.map_type),
            key_size: info.key_size,
            value_size: info.value_size,
            max_entries: info.max_entries,
            flags: info.map_flags,
            map_extra: info.map_extra,
            name: object_name(&info.name),
            btf_id: info.btf_id,
            key_type_id: info.btf_key_type_id,
            value_type_id: info.btf_value_type_id,
        })
    }

    fn is_frozen(&self, map: &Object) -> io::Result<bool> {
        let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", map.as_fd().as_raw_fd()))?;
        Ok(text.lines().any(|line| line.strip_prefix("frozen:").is_some_and(|value| value.trim() == "1")))
    }

    fn lookup(&self, map: &Object, key: &[u8], value_len: usize) -> io::Result<Option<Vec<u8>>> {
        let mut value = vec![0; value_len];
        found(sized(map)?.lookup(key, &mut value), value)
    }

    fn next_key(&self, map: &Object, key: Option<&[u8]>, key_len: usize) -> io::Result<Option<Vec<u8>>> {
        let mut next = vec![0; key_len];
        found(sized(map)?.next_key(key, &mut next), next)
    }

    fn update(&mut self, map: &Object, key: &[u8], value: &[u8]) -> io::Result<()> {
        sized(map)?.update(key, value)
    }

    fn add(&mut self, map: &Object, key: &[u8], value: &[u8]) -> io::Result<bool> {
        match sized(map)?.add(key, value) {
            Err(error) if error.raw_os_error() == Some(libc::EEXIST) => Ok(false),
            result => result.map(|()| true),
        }
    }

    fn settle(&self) -> io::Result<()> {
        // Where that cannot be asked, much longer than a program that cannot sleep may run.
        sys::wait_for_all_cpus().or_else(|_| {
            std::thread::sleep(std::time::Duration::from_millis(200));
            Ok(())
        })
    }

    fn delete(&mut self, map: &Object, key: &[u8]) -> io::Result<bool> {
        found(sized(map)?.delete(key), ()).map(|gone| gone.is_some())
    }

    fn read_entries(&self, map: &Object, sizes: (usize, usize), each: TakeEntries<'_>) -> io::Result<()> {
        match many::read(sized(map)?, sizes, each)? {
            Read::Whole => Ok(()),
            Read::OneByOne(from) => many::read_each(self, map, sizes, from, each),
        }
    }

    fn write_entries(&mut self, map: &Object, entries: &Entries) -> Result<(), (usize, io::Error)> {
        match many::write(sized(map).map_err(|error| (0, error))?, entries)? {
            Wrote::All => Ok(()),
            Wrote::Nothing => many::write_each(self, map, entries),
        }
    }

    fn delete_entries(&mut self, map: &Object, entries: &Entries) -> Result<(), (usize, io::Error)> {
        match many::delete(sized(map).map_err(|error| (0, error))?, entries)? {
            Wrote::All => Ok(()),
            Wrote::Nothing => many::delete_each(self, map, entries),
        }
    }

    fn write_part(&mut self, map: &Object, part: &Patch) -> io::Result<()> {
        sized(map)?.writable_values()?.write_part(part)
    }

    fn update_slot(&mut self, map: &Object, key: &[u8], target: &Object) -> io::Result<()> {
        sized(map)?.update(key, &target.as_fd().as_raw_fd().to_ne_bytes())
    }

    fn write_arena(&mut self, map: &Object, address: u64, size: u64, bytes: &[u8]) -> io::Result<()> {
        sys::write_arena(map.as_fd(), address, size, bytes)
    }

    fn freeze(&mut self, map: &Object) -> io::Result<()> {
        sys::map_freeze(map.as_fd())
    }

    fn load_btf(&mut self, btf: &[u8]) -> Result<Object, LoadError> {
        let first = self.with_memlock(|| sys::btf_load(btf, &mut Log::default()));
        with_log(first, |log| sys::btf_load(btf, log))
    }

    fn btf(&self, id: u32) -> io::Result<Vec<u8>> {
        let fd = sys::btf_by_id(id)?;
        let size = sys::btf_info(fd.as_fd(), &mut [])?.btf_size;
        let mut bytes = vec![0; size as usize];
        sys::btf_info(fd.as_fd(), &mut bytes)?;
        Ok(bytes)
    }

    fn next_btf(&self, after: u32) -> io::Result<u32> {
        sys::next_btf(after)
    }

    fn next_program(&self, after: u32) -> io::Result<u32> {
        sys::next_program(after)
    }

    fn btf_by_id(&self, id: u32) -> io::Result<Object> {
        sys::btf_by_id(id).map(Object::from)
    }

    fn module_name(&self, btf: &Object) -> io::Result<Option<String>> {
        // The kernel keeps the names of modules in 56 bytes (`MODULE_NAME_LEN`).
        let mut name = [0; 64];
        match sys::btf_name(btf.as_fd(), &mut name) {
            Ok(info) => Ok(Some(text(&name)).filter(|name| info.kernel_btf != 0 && name != "vmlinux")),
            // Before 5.11 BTF has no name, and modules have no BTF.
            Err(error) if error.raw_os_error() == Some(libc::E2BIG) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn types(&self) -> io::Result<Bytes> {
        let file = fs::File::open(KERNEL_TYPES)?;
        // Files of sysfs can be mapped since Linux 6.16.
        match sys::Mapping::new(file.as_fd(), file.metadata()?.len()) {
            Ok(mapping) => Ok(Box::new(mapping)),
            Err(_) => Ok(Box::new(fs::read(KERNEL_TYPES)?)),
        }
    }

    fn config(&self) -> io::Result<String> {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        let plain = fs::read(format!("/boot/config-{}", release.trim_end()));
        let bytes = match plain {
            Ok(bytes) => bytes,
            Err(_) => fs::read("/proc/config.gz")?,
        };
        match bytes.starts_with(&[0x1f, 0x8b]) {
            true => {
                let mut text = String::new();
                let mut limited = flate2::read::GzDecoder::new(&*bytes).take(LARGEST_CONFIG);
                limited.read_to_string(&mut text)?;
                Ok(text)
            }
            false => String::from_utf8(bytes).map_err(io::Error::other),
        }
    }

    fn symbols(&self, wanted: &BTreeSet<String>) -> io::Result<Symbols> {
        let table = io::BufReader::with_capacity(1 << 16, fs::File::open("/proc/kallsyms")?);
        facts::find_symbols(table, wanted)
    }

    fn symbols_at(&self, addresses: &BTreeSet<u64>) -> io::Result<BTreeMap<u64, String>> {
        let table = io::BufReader::with_capacity(1 << 16, fs::File::open("/proc/kallsyms")?);
        facts::find_addresses(table, addresses)
    }

    fn version(&self) -> io::Result<u32> {
        let signature = fs::read_to_string("/proc/version_signature").ok();
        let version = fs::read_to_string("/proc/sys/kernel/version")?;
        let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        Ok(facts::version_code(signature.as_deref(), &version, &release))
    }

    fn load_program(&mut self, request: &ProgramRequest<'_, Object>) -> Result<Object, LoadError> {
        self.load(request)
    }

    fn load_programs(&mut self, requests: &[ProgramRequest<'_, Object>]) -> Result<Vec<Object>, (usize, LoadError)> {
        let insns: usize = requests.iter().map(|request| request.insns.len()).sum();
        let kernel = &*self;
        parallel::map(requests, insns / INSNS_PER_THREAD, |request| kernel.load(request))
    }

    fn bind_map(&mut self, program: &Object, map: &Object) -> io::Result<()> {
        sys::prog_bind_map(program.as_fd(), map.as_fd())
    }

    fn program_by_id(&self, id: u32) -> io::Result<Object> {
        sys::prog_by_id(id).map(Object::from)
    }

    fn test_run(&mut self, program: &Object, request: &RunRequest<'_>) -> io::Result<Ran> {
        sys::prog_test_run(program.as_fd(), request)
    }

    fn program_info(&self, program: &Object) -> io::Result<ProgramInfo> {
        // The ids of a program's maps never change; 16 are enough for nearly every program.
        let mut map_ids = vec![0; 16];
        let mut info = sys::prog_info(program.as_fd(), &mut map_ids)?;
        if info.nr_map_ids as usize > map_ids.len() {
            map_ids.resize(info.nr_map_ids as usize, 0);
            info = sys::prog_info(program.as_fd(), &mut map_ids)?;
        }
        map_ids.truncate(info.nr_map_ids as usize);
        Ok(ProgramInfo {
            id: info.id,
            program_type: ProgramType(info.prog_type),
            tag: info.tag,
            name: object_name(&info.name),
            map_ids,
            btf_id: info.btf_id,
            load_time: info.load_time,
            verified_insns: info.verified_insns,
        })
    }

    fn program_code(&self, program: &Object) -> io::Result<ProgramCode> {
        let sizes = sys::prog_code(program.as_fd(), &mut [], &mut [], &mut [])?;
        let mut code = ProgramCode {
            insns: vec![Insn::default(); sizes.xlated_prog_len as usize / Insn::SIZE],
            funcs: vec![FuncRecord { insn: 0, type_id: 0 }; sizes.nr_func_info as usize],
            lines: vec![LineRecord { insn: 0, file: 0, text: 0, place: LinePlace(0) }; sizes.nr_line_info as usize],
            gpl: sizes.gpl_compatible & 1 != 0,
        };
        sys::prog_code(program.as_fd(), &mut code.insns, &mut code.funcs, &mut code.lines)?;
        Ok(code)
    }

    fn interface(&self, name: &str) -> io::Result<Option<Interface>> {
        netlink::interface(name, fs::metadata(OWN_NETNS)?.ino())
    }

    fn interface_in(&self, netns: &Object, name: &str) -> io::Result<Option<Interface>> {
        let inode = inode(netns)?;
        within(netns, || netlink::interface(name, inode))
    }

    fn interfaces_in(&self, netns: &Object) -> io::Result<Vec<String>> {
        within(netns, netlink::interfaces)
    }

    fn other_names(&self, netns: &Object, name: &str) -> io::Result<Vec<String>> {
        within(netns, || netlink::other_names(name))
    }

    fn interface_name(&self, index: u32) -> io::Result<Option<String>> {
        match sys::interface_name(index) {
            Ok(name) => Ok(Some(text(&name))),
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn cgroup_mount(&self) -> io::Result<Option<PathBuf>> {
        Ok(cgroup2_mount(&fs::read_to_string("/proc/thread-self/mountinfo")?))
    }

    fn open_cgroup(&self, path: &Path) -> io::Result<(Object, u64)> {
        let folder = fs::OpenOptions::new().read(true).custom_flags(libc::O_DIRECTORY).open(path)?;
        if sys::file_system(&CString::new(path.as_os_str().as_encoded_bytes())?)? != CGROUP2_FS {
            // The error that BPF_LINK_CREATE has for such a folder.
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        let id = folder.metadata()?.ino();
        Ok((OwnedFd::from(folder).into(), id))
    }

    fn cgroups_in(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let entries = fs::read_dir(path)?.collect::<io::Result<Vec<_>>>()?;
        let folders = entries.iter().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        let mut folders: Vec<PathBuf> = folders.map(fs::DirEntry::path).collect();
        folders.sort();
        Ok(folders)
    }

    fn named_netns(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(NAMED_NETNS) {
            // Nobody made one since the host was started.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?.collect::<io::Result<Vec<_>>>()?,
        };
        let mut names: Vec<String> = entries.iter().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        Ok(names)
    }

    fn open_netns(&self, path: &Path) -> io::Result<(Object, u64)> {
        let file = fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        match sys::namespace_kind(file.as_fd()) {
            Ok(libc::CLONE_NEWNET) => {}
            Ok(_) => return Err(io::Error::from_raw_os_error(libc::EINVAL)),
            Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => {
                return Err(io::Error::from_raw_os_error(libc::EINVAL));
            }
            Err(error) => return Err(error),
        }
        let inode = file.metadata()?.ino();
        Ok((OwnedFd::from(file).into(), inode))
    }

    fn tracepoint(&self, category: &str, name: &str) -> io::Result<u64> {
        trace::tracepoint(category, name)
    }

    fn place_in_file(&self, binary: &str, symbol: Option<&str>) -> io::Result<FilePlace> {
        trace::place(binary, symbol)
    }

    fn security_modules(&self) -> io::Result<String> {
        fs::read_to_string("/sys/kernel/security/lsm")
    }

    fn has_event_source(&self, name: &str) -> io::Result<bool> {
        trace::has_source(name)
    }

    fn has(&self, feature: Feature) -> io::Result<bool> {
        // A kernel that lacks it says so before anything else. With nothing to be found, one that has it says that.
        let (known, asked) = match feature {
            Feature::Tcx => (&self.features[0], sys::query_interface(0, AttachType::TCX_INGRESS.0).map(drop)),
            // It came together with links of XDP, which cannot be asked for without a program.
            Feature::XdpLinks => (&self.features[1], sys::query_nothing(AttachType::SK_LOOKUP.0)),
            Feature::CgroupLinks => (&self.features[2], sys::next_link(0).map(drop)),
        };
        Ok(*known.get_or_init(|| !asked.is_err_and(|error| error.raw_os_error() == Some(libc::EINVAL))))
    }

    fn qdisc(&self, device: &Device) -> io::Result<Option<Qdisc>> {
        beside(self, device, || traffic::qdisc(device.ifindex))
    }

    fn make_clsact(&mut self, device: &Device) -> io::Result<()> {
        beside(self, device, || traffic::make_clsact(device.ifindex))
    }

    fn remove_clsact(&mut self, device: &Device) -> io::Result<()> {
        beside(self, device, || traffic::remove_clsact(device.ifindex))
    }

    fn routes(&self, device: &Device, place: &RoutePlace) -> io::Result<Vec<RouteInfo>> {
        beside(self, device, || routes::at(place))
    }

    fn programs_at(&self, at: &Direct) -> io::Result<Vec<u32>> {
        match at {
            Direct::Filter(filter) => {
                let filters = existing_device(self.qdisc(&filter.device))?.flatten().unwrap_or_default().filters;
                Ok(filters.iter().filter(|found| found.is_at(filter)).filter_map(|found| found.program_id).collect())
            }
            Direct::Xdp { device, mode } => {
                let found = beside(self, device, || {
                    let Some(name) = self.interface_name(device.ifindex)? else { return Ok(None) };
                    netlink::interface(&name, device.inode)
                });
                let there = existing_device(found)?.flatten().map(|found| found.xdp).unwrap_or_default();
                let is_one = |at: XdpMode| at == *mode || *mode == XdpMode::Auto && at != XdpMode::Offload;
                Ok(there.into_iter().filter(|(at, _)| is_one(*at)).map(|(_, id)| id).collect())
            }
            Direct::Route(route) => {
                let found = existing_device(self.routes(&route.device, &route.wish.place))?.unwrap_or_default();
                Ok(found.iter().filter_map(|found| found.program_id).collect())
            }
            Direct::Cgroup { path, cgroup_id, attach_type } => match self.open_cgroup(path) {
                Ok((cgroup, id)) if id == *cgroup_id => {
                    let found = sys::query_cgroup(cgroup.as_fd(), attach_type.0)?;
                    Ok(found.ids.into_iter().map(|(program, _)| program).collect())
                }
                Ok(_) => Ok(Vec::new()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
                Err(error) => Err(error),
            },
        }
    }

    fn attach(&mut self, program: &Object, at: &Direct, replaces: Option<&Object>) -> io::Result<()> {
        match at {
            Direct::Filter(filter) => {
                let name = self.program_info(program)?.name;
                let number = self.number(program);
                beside(self, &filter.device, || traffic::set_filter(filter, number, &name, replaces.is_some()))
            }
            Direct::Xdp { device, mode } => {
                let (program, old) = (self.number(program), replaces.map(|old| self.number(old)));
                beside(self, device, || traffic::set_xdp(device.ifindex, xdp_flags(*mode), Some(program), old))
            }
            Direct::Route(route) => {
                let old = replaces.map(|old| self.program_info(old)).transpose()?.map(|old| old.id);
                self.carried(program, &route.device, |carried| routes::set(route, carried, old))
            }
            Direct::Cgroup { path, attach_type, .. } => {
                let (cgroup, _) = self.open_cgroup(path)?;
                sys::prog_attach(cgroup.as_fd(), program.as_fd(), attach_type.0, replaces.map(AsFd::as_fd))
            }
        }
    }

    fn detach(&mut self, program: &Object, at: &Direct) -> io::Result<()> {
        match at {
            Direct::Filter(filter) => beside(self, &filter.device, || traffic::remove_filter(filter)),
            Direct::Xdp { device, mode } => {
                let old = Some(self.number(program));
                beside(self, device, || traffic::set_xdp(device.ifindex, xdp_flags(*mode), None, old))
            }
            Direct::Route(route) => self.carried(program, &route.device, |carried| routes::remove(route, carried)),
            Direct::Cgroup { path, attach_type, .. } => {
                let (cgroup, _) = self.open_cgroup(path)?;
                sys::prog_detach(cgroup.as_fd(), program.as_fd(), attach_type.0)
            }
        }
    }

    fn excludes(&self, cgroup: &Object, attach_type: AttachType) -> io::Result<Excludes> {
        Ok(match sys::cgroup_flags(cgroup.as_fd(), attach_type.0)? {
            (true, sys::ALLOW_OVERRIDE) => Excludes::Beside,
            (true, 0) => Excludes::Below,
            (..) => Excludes::Nothing,
        })
    }

    fn create_link_at(
        &mut self,
        program: &Object,
        hook: &HookRequest<'_, Object>,
        place: HookPlace,
    ) -> io::Result<Object> {
        create_link(program, hook, place).map(Object::from)
    }

    fn update_link(&mut self, link: &Object, program: &Object, old: &Object) -> io::Result<()> {
        sys::link_update(link.as_fd(), program.as_fd(), old.as_fd())
    }

    fn detach_link(&mut self, link: &Object) -> io::Result<()> {
        sys::link_detach(link.as_fd())
    }

    fn queue(&self, hook: &HookRequest<'_, Object>) -> io::Result<Queue> {
        match query(hook) {
            // Linux 6.6 says so of an interface that never had a program (`tcx_prog_query`, kernel/bpf/tcx.c).
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(Queue::default()),
            Err(error) => Err(error),
            Ok(sys::Queried { ids, revision }) => {
                let occupant = |(program_id, link_id)| {
                    let link_id = (link_id != 0).then_some(link_id);
                    Occupant { program_id, link_id, name: None }
                };
                Ok(Queue { revision, there: ids.into_iter().map(occupant).collect() })
            }
        }
    }

    fn next_link(&self, after: u32) -> io::Result<u32> {
        sys::next_link(after)
    }

    fn link_by_id(&self, id: u32) -> io::Result<Object> {
        // One that somebody is just making has a number already, and is nowhere yet (`bpf_link_by_id`).
        let found = sys::link_by_id(id).map_err(|error| match error.raw_os_error() {
            Some(libc::EAGAIN) => io::Error::from_raw_os_error(libc::ENOENT),
            _ => error,
        });
        found.map(Object::from)
    }

    fn link_info(&self, link: &Object) -> io::Result<LinkInfo> {
        let info = sys::link_info(link.as_fd())?;
        if let Some(event) = trace::info(link.as_fd(), &info)? {
            let hook = HookInfo::Event(event);
            return Ok(LinkInfo { id: info.id, program_id: info.prog_id, hook, is_attached: true });
        }
        // The union of `struct bpf_link_info`, by `enum bpf_link_type`.
        let hook = match info.link_type {
            3 => HookInfo::Cgroup { cgroup_id: wide(info.first, info.second), attach_type: AttachType(info.third) },
            5 => HookInfo::Netns { inode: info.first.into(), attach_type: AttachType(info.second) },
            6 => HookInfo::Xdp { ifindex: info.first },
            10 => Netfilter::of_numbers([info.first, info.second, info.third, info.fourth])
                .map_or(HookInfo::Other(info.link_type), HookInfo::Netfilter),
            9 => HookInfo::StructOps { map_id: info.first },
            14 => HookInfo::Sockmap { map_id: info.first, attach_type: AttachType(info.second) },
            11 => HookInfo::Tcx { ifindex: info.first, attach_type: AttachType(info.second) },
            13 => HookInfo::Netkit { ifindex: info.first, attach_type: AttachType(info.second) },
            other => HookInfo::Other(other),
        };
        let is_attached = hook.is_attached();
        Ok(LinkInfo { id: info.id, program_id: info.prog_id, hook, is_attached })
    }
}

/// The network namespace of the calling thread.
const OWN_NETNS: &str = "/proc/thread-self/ns/net";

fn inode(netns: &Object) -> io::Result<u64> {
    Ok(fs::File::from(netns.as_fd().try_clone_to_owned()?).metadata()?.ino())
}

/// Does something in a network namespace: when it is not our own, on a thread of its own that ends with it, so that
/// nothing else of this process is ever anywhere else.
fn within<T: Send>(netns: &Object, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    if inode(netns)? == fs::metadata(OWN_NETNS)?.ino() {
        return work();
    }
    let there = || {
        sys::enter_netns(netns.as_fd())?;
        work()
    };
    thread::scope(|scope| {
        let thread = thread::Builder::new().spawn_scoped(scope, there)?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Does something in the network namespace of an interface; `ENODEV` when that is gone.
fn beside<T: Send>(kernel: &Linux, device: &Device, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    if device.netns.is_own() {
        return work();
    }
    match kernel.open_netns(&device.netns.path()) {
        Ok((netns, inode)) if inode == device.inode => within(&netns, work),
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(_) | Err(_) => Err(io::Error::from_raw_os_error(libc::ENODEV)),
    }
}

/// Makes `None` of `ENODEV`.
fn existing_device<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
        result => result.map(Some),
    }
}

fn create_link(program: &Object, hook: &HookRequest<'_, Object>, place: HookPlace) -> io::Result<OwnedFd> {
    if place != HookPlace::default() && !has_places(hook) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    match hook {
        HookRequest::Xdp { ifindex, mode } => {
            sys::link_interface(program.as_fd(), *ifindex, AttachType::XDP.0, xdp_flags(*mode))
        }
        HookRequest::Tcx { ifindex, attach_type } => {
            sys::link_tcx(program.as_fd(), *ifindex, attach_type.0, order(place))
        }
        HookRequest::Netkit { ifindex, attach_type } => {
            sys::link_interface(program.as_fd(), *ifindex, attach_type.0, 0)
        }
        HookRequest::Cgroup { cgroup, attach_type } => {
            sys::link_cgroup(program.as_fd(), cgroup.as_fd(), attach_type.0, order(place))
        }
        HookRequest::Netns { netns, attach_type } => sys::link_netns(program.as_fd(), netns.as_fd(), attach_type.0),
        HookRequest::Netfilter(hook) => sys::link_netfilter(program.as_fd(), AttachType::NETFILTER.0, hook.numbers()),
        HookRequest::Sockmap { map, attach_type } => sys::link_map(program.as_fd(), map.as_fd(), attach_type.0),
        HookRequest::StructOps => sys::link_struct(program.as_fd(), AttachType::STRUCT_OPS.0),
        HookRequest::Trace(request) => link_event(program, request),
        HookRequest::Within { netns, hook } => within(netns, || create_link(program, hook, place)),
    }
}

/// Returns whether this tool puts links to places there.
fn has_places(hook: &HookRequest<'_, Object>) -> bool {
    match hook {
        HookRequest::Tcx { .. } | HookRequest::Cgroup { .. } => true,
        HookRequest::Within { hook, .. } => has_places(hook),
        HookRequest::Xdp { .. }
        | HookRequest::Netkit { .. }
        | HookRequest::Netns { .. }
        | HookRequest::Netfilter(_)
        | HookRequest::Sockmap { .. }
        | HookRequest::StructOps
        | HookRequest::Trace(_) => false,
    }
}

fn query(hook: &HookRequest<'_, Object>) -> io::Result<sys::Queried> {
    match hook {
        HookRequest::Xdp { .. } | HookRequest::Netfilter(_) | HookRequest::StructOps | HookRequest::Trace(_) => {
            Err(io::Error::from_raw_os_error(libc::EINVAL))
        }
        HookRequest::Tcx { ifindex, attach_type } | HookRequest::Netkit { ifindex, attach_type } => {
            sys::query_interface(*ifindex, attach_type.0)
        }
        HookRequest::Cgroup { cgroup, attach_type } => sys::query_cgroup(cgroup.as_fd(), attach_type.0),
        HookRequest::Netns { netns, attach_type } => sys::query_netns(netns.as_fd(), attach_type.0),
        HookRequest::Sockmap { map, attach_type } => sys::query_map(map.as_fd(), attach_type.0),
        HookRequest::Within { netns, hook } => within(netns, || query(hook)),
    }
}

fn link_event(program: &Object, request: &TraceRequest<'_, Object>) -> io::Result<OwnedFd> {
    let program = program.as_fd();
    match request {
        TraceRequest::Raw { name, cookie } => {
            let name = name.map(CString::new).transpose()?;
            sys::raw_tracepoint(program, name.as_deref(), *cookie)
        }
        TraceRequest::Tracing { attach_type, target, cookie } => {
            let target = target.map(|(target, function)| (target.as_fd(), function));
            sys::link_tracing(program, attach_type.0, target, *cookie)
        }
        TraceRequest::Perf { event, cookie } => {
            let event = trace::open(event)?;
            sys::link_perf(program, event.as_fd(), AttachType::PERF_EVENT.0, cookie.unwrap_or(0))
        }
        TraceRequest::KprobeMulti { functions, returns, cookie } => {
            let functions: Vec<_> =
                functions.iter().map(|name| CString::new(name.as_str())).collect::<Result<_, _>>()?;
            sys::link_functions(program, AttachType::TRACE_KPROBE_MULTI.0, &functions, *returns, *cookie)
        }
    }
}

/// Writes a place as the flags of `linux/bpf.h` have it.
fn order(HookPlace { position, revision }: HookPlace) -> sys::Order {
    const BEFORE: u32 = 1 << 3;
    const AFTER: u32 = 1 << 4;
    const ID: u32 = 1 << 5;
    const LINK: u32 = 1 << 13;
    let (flags, beside) = match position {
        Position::Any => (0, None),
        Position::First => (BEFORE, None),
        Position::Last => (AFTER, None),
        Position::Before(beside) => (BEFORE, Some(beside)),
        Position::After(beside) => (AFTER, Some(beside)),
    };
    let (more, relative) = match beside {
        None => (0, 0),
        Some(Beside::Program(id)) => (ID, id),
        Some(Beside::Link(id)) => (ID | LINK, id),
    };
    sys::Order { flags: flags | more, relative, revision }
}

/// Joins the two halves of a number, as they lie in memory.
fn wide(first: u32, second: u32) -> u64 {
    let ([a, b, c, d], [e, f, g, h]) = (first.to_ne_bytes(), second.to_ne_bytes());
    u64::from_ne_bytes([a, b, c, d, e, f, g, h])
}

/// Returns `XDP_FLAGS_*` of `linux/if_link.h`.
fn xdp_flags(mode: XdpMode) -> u32 {
    match mode {
        XdpMode::Auto => 0,
        XdpMode::Generic => 1 << 1,
        XdpMode::Native => 1 << 2,
        XdpMode::Offload => 1 << 3,
    }
}

/// Runs a refused load again with a log that grows until the text fits. The first error is the one that counts.
fn with_log(
    first: io::Result<OwnedFd>,
    mut load: impl FnMut(&mut Log<'_>) -> io::Result<OwnedFd>,
) -> Result<Object, LoadError> {
    let error = match first {
        Ok(fd) => return Ok(fd.into()),
        Err(error) => error,
    };
    let mut size = FIRST_LOG;
    loop {
        let mut buffer = vec![0; size];
        let mut log = Log { buffer: &mut buffer, needed: 0 };
        let result = load(&mut log);
        let needed = log.needed;
        match result {
            // What was in the way a moment ago is gone.
            Ok(fd) => return Ok(fd.into()),
            Err(again) if again.raw_os_error() == Some(libc::ENOSPC) && size < LAST_LOG => {
                size = (size * 2).max(needed).min(LAST_LOG);
            }
            Err(_) => return Err(LoadError { error, log: text(&buffer) }),
        }
    }
}

/// Returns the text before the first NUL.
fn text(buffer: &[u8]) -> String {
    let end = buffer.iter().position(|byte| *byte == 0).unwrap_or(buffer.len());
    String::from_utf8_lossy(&buffer[..end]).into_owned()
}

/// Returns a name of a map or program; the kernel allows only ASCII in it.
fn object_name(name: &[u8; 16]) -> String {
    text(name)
}

/// Returns the map with the lengths of its keys and values.
fn sized(map: &Object) -> io::Result<SizedMap<'_>> {
    map.sized(possible_cpus)
}

/// Makes `None` of `ENOENT`.
fn found<T>(result: io::Result<()>, value: T) -> io::Result<Option<T>> {
    match result {
        Ok(()) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns for how many seconds a process has been running; `None` when it has ended.
fn running_for(pid: u32) -> Option<u64> {
    let start = lock::start_ticks(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?;
    Some((sys::boot_time() / 1_000_000_000).saturating_sub(start / sys::ticks_per_second()?))
}

/// Returns the command line of a process, or at least its name; empty when it has ended.
fn command_line(pid: u32) -> String {
    let of = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    // The name ends with a line feed, each argument with a NUL.
    let given = [of("cmdline"), of("comm")].into_iter().find(|text| !text.is_empty()).unwrap_or_default();
    let words = String::from_utf8_lossy(&given).trim_end_matches(['\0', '\n']).replace('\0', " ");
    words.chars().take(LONGEST_COMMAND).collect()
}

/// Returns the path with its NUL.
fn c_path(path: &PinPath) -> io::Result<CString> {
    Ok(CString::new(path.as_str())?)
}

/// Tells what a descriptor is by the name of its anonymous inode (kernel/bpf/syscall.c); `EINVAL` for anything else.
fn object_kind(fd: &OwnedFd) -> io::Result<ObjectKind> {
    let target = fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()))?;
    match target.to_str() {
        Some("anon_inode:bpf-map") => Ok(ObjectKind::Map),
        Some("anon_inode:bpf-prog") => Ok(ObjectKind::Program),
        // `bpf_link_prime` writes the one, `bpf_link_new_fd` the other.
        Some("anon_inode:bpf_link" | "anon_inode:bpf-link") => Ok(ObjectKind::Link),
        Some(_) | None => Err(io::Error::from_raw_os_error(libc::EINVAL)),
    }
}

/// Returns the number of CPUs for which a per-CPU map has values.
fn possible_cpus() -> io::Result<u32> {
    // It is the same for as long as the kernel runs.
    static KNOWN: OnceLock<u32> = OnceLock::new();
    if let Some(known) = KNOWN.get() {
        return Ok(*known);
    }
    let text = fs::read_to_string("/sys/devices/system/cpu/possible")?;
    let count = count_cpus(text.trim());
    let count = count.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "unreadable list of CPUs"))?;
    Ok(*KNOWN.get_or_init(|| count))
}

/// Returns the most CPUs that the kernel was built for; the file has the number of the last one.
fn most_cpus() -> io::Result<u32> {
    let text = fs::read_to_string("/sys/devices/system/cpu/kernel_max")?;
    let last: u32 = text.trim().parse().map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(last.saturating_add(1))
}

/// Counts the CPUs of a list such as `0-3,8`.
fn count_cpus(list: &str) -> Option<u32> {
    list.split(',').try_fold(0u32, |sum, range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        sum.checked_add(last.checked_sub(first)?.checked_add(1)?)
    })
}

/// Finds the first cgroup2 mount in a `mountinfo` (proc_pid_mountinfo(5)).
fn cgroup2_mount(mountinfo: &str) -> Option<PathBuf> {
    mountinfo.lines().find_map(|line| {
        let (mount, file_system) = line.split_once(" - ")?;
        (file_system.split(' ').next()? == "cgroup2").then(|| unescape(mount.split(' ').nth(4).unwrap_or("")))
    })
}

/// Reads the octal `\040` by which the kernel writes blanks in paths.
fn unescape(text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let octal = tail
            .get(..3)
            .filter(|_| *first == b'\\')
            .and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        bytes.push(octal.unwrap_or(*first));
        rest = if octal.is_some() { &tail[3..] } else { tail };
    }
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_lists() {
        let cases =
            [("0", Some(1)), ("0-1", Some(2)), ("0-3,8-11,16", Some(9)), ("", None), ("3-1", None), ("0-x", None)];
        for (list, count) in cases {
            assert_eq!(count_cpus(list), count, "{list:?}");
        }
    }

    #[test]
    fn cgroup_mounts() {
        let hybrid = "24 1 0:22 / /sys/fs/cgroup/cpu rw shared:5 - cgroup cgroup rw,cpu\n\
                      25 1 0:23 / /sys/fs/cgroup/uni\\040fied rw - cgroup2 cgroup2 rw\n";
        assert_eq!(cgroup2_mount(hybrid), Some(PathBuf::from("/sys/fs/cgroup/uni fied")));
        assert_eq!(cgroup2_mount("24 1 0:22 / /cgroup2 rw - tmpfs cgroup2 rw\n"), None);
        assert_eq!(cgroup2_mount("25 1 - cgroup2"), Some(PathBuf::new()));
    }

    #[test]
    fn halves_join_as_in_memory() {
        let [first, second] = [u32::from_ne_bytes([1, 2, 3, 4]), u32::from_ne_bytes([5, 6, 7, 8])];
        assert_eq!(wide(first, second).to_ne_bytes(), [1, 2, 3, 4, 5, 6, 7, 8]);
    }
}
