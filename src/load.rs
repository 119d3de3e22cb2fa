//! Reads the manifest, its variables and its objects from files, and keeps plans in files: the only place that does.
//!
//! Every file is opened once, and its digest is of the very bytes that everything else is made from.

use crate::btf::kernel::KernelTypes;
use crate::desired::{EntryFile, Files, ObjectFile};
use crate::diag::{Kind, Problem, Problems};
use crate::elf::{self, TypesFile};
use crate::manifest::{self, EntriesSource, Manifest};
use crate::names::{Digest, MapName, ObjectName, hex};
use crate::packet;
use crate::parallel;
use crate::saved::SavedPlan;
use crate::state::HostState;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;
use std::sync::Arc;

/// The largest file that is read: the kernel takes no program of even a tenth of it.
const LARGEST: u64 = 256 << 20;
/// What messages call the file `-`.
pub const STANDARD_INPUT: &str = "standard input";

const TOO_LARGE: &str = "larger than 256 MiB";

/// How many objects make it worth while to start one more thread that reads them. Starting one takes as long as reading
/// a small object, and many are not small.
const OBJECTS_PER_THREAD: usize = 2;

/// How much is read at first: most objects are smaller.
const FIRST_READ: usize = 32 << 10;

/// Room for the bytes of a file: who reads many of them has it once.
#[derive(Default)]
struct Buffer(Vec<u8>);

impl Buffer {
    /// Reads a whole regular file, or says why not.
    fn read(&mut self, path: &Path) -> io::Result<&[u8]> {
        // Nothing else than a regular file is waited for.
        let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
        let first = FIRST_READ.max(self.0.len());
        self.0.resize(first, 0);
        let read = read_some(&file, &mut self.0).or_else(|error| match file.metadata()?.is_file() {
            true => Err(error),
            false => Ok(0),
        })?;
        // An object that is all there need not be asked how long it is, or what else it might be.
        if read < first && elf::ends_at(&self.0[..read]) == Some(read as u64) {
            return Ok(&self.0[..read]);
        }
        let kind = file.metadata()?;
        if !kind.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let len = kind.len();
        if len > LARGEST {
            return Err(io::Error::other(TOO_LARGE));
        }
        self.0.resize(first.max(len as usize), 0);
        let mut read = read + fill(&file, &mut self.0[read..read.max(len as usize)])?;
        // Some file systems do not tell the length: 0 says nothing. A length that was told and read is the whole file.
        if len == 0 && read > 0 {
            self.0.truncate(read);
            file.take(LARGEST + 1 - read as u64).read_to_end(&mut self.0)?;
            read = self.0.len();
        }
        match read as u64 > LARGEST {
            true => Err(io::Error::other(TOO_LARGE)),
            false => Ok(&self.0[..read]),
        }
    }
}

/// Reads a whole regular file, or says why not.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut buffer = Buffer::default();
    let len = buffer.read(path)?.len();
    buffer.0.truncate(len);
    Ok(buffer.0)
}

/// Reads until the buffer is full or the file ends, and returns how many bytes that were.
fn fill(file: &File, bytes: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < bytes.len() {
        match read_some(file, &mut bytes[read..])? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}

/// Reads what there is, and returns how many bytes that were.
fn read_some(mut file: &File, bytes: &mut [u8]) -> io::Result<usize> {
    loop {
        match file.read(bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

/// Reads a text file: a manifest or a file of variables.
pub fn text(path: &Path) -> Result<String, Problems> {
    let unreadable = |why: String| Problem::new(Kind::UnreadableFile { path: path.display().to_string(), why });
    let bytes = read(path).map_err(|error| unreadable(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| unreadable(not_text(&error)).into())
}

/// Reads standard input as a text file.
pub fn standard_input() -> Result<String, Problems> {
    let unreadable = |why| Problem::new(Kind::UnreadableFile { path: STANDARD_INPUT.to_owned(), why });
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes).map_err(|error| unreadable(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| unreadable(not_text(&error)).into())
}

/// Says why bytes are no text.
fn not_text(error: &FromUtf8Error) -> String {
    let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    format!("it is not UTF-8 text: line {line} has other bytes")
}

/// Reads the packets of a capture, as frames of Ethernet.
///
/// # Errors
/// Why there are none, as a sentence without capital and full stop.
pub fn capture(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    let bytes = read(path).map_err(|error| error.to_string())?;
    packet::capture::packets(&bytes).map_err(|error| error.to_string())
}

/// Reads a saved plan.
pub fn plan(path: &Path) -> Result<SavedPlan, Problems> {
    let no_plan = |why| Problem::new(Kind::NoSavedPlan { path: path.display().to_string(), why }).into();
    SavedPlan::decode(&text(path)?).map_err(no_plan)
}

/// Reads the state of a host.
pub fn state(path: &Path) -> Result<HostState, Problems> {
    let no_state = |why| Problem::new(Kind::NoState { path: path.display().to_string(), why }).into();
    HostState::decode(&text(path)?).map_err(no_state)
}

/// Writes a saved plan or a state into a file that only its owner may read, as [`store_text`] writes others.
pub fn store(text: &str, path: &Path) -> Result<(), Problem> {
    put(text, path, 0o600, |_, _| Ok(()))
}

/// Writes a text into a file: whole, or not at all. Who may read one that is there stays, and what leads to it as well.
/// What is no regular file, as a pipe or a device, is written as it is.
pub fn store_text(text: &str, path: &Path) -> Result<(), Problem> {
    put(text, path, 0o666, |new, found| fs::set_permissions(new, found.permissions()))
}

/// Writes a file, a new one with this mode. `ready` has been at what takes the place of one that is there.
fn put(
    text: &str,
    path: &Path,
    mode: u32,
    ready: impl FnOnce(&Path, &Metadata) -> io::Result<()>,
) -> Result<(), Problem> {
    let written = match fs::metadata(path) {
        Ok(found) if !found.is_file() => append(path, text),
        Ok(found) => {
            fs::canonicalize(path).and_then(|path| replace(&path, text.as_bytes(), 0o600, |new| ready(new, &found)))
        }
        Err(_) => replace(path, text.as_bytes(), mode, |_| Ok(())),
    };
    written.map_err(|error| unwritable(path, &error))
}

/// Writes a text into a new file.
pub fn create_text(text: &str, path: &Path) -> Result<(), Problem> {
    let written = File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            let why = "it is there already; --force replaces it".to_owned();
            Problem::new(Kind::UnwritableFile { path: path.display().to_string(), why })
        }
        _ => unwritable(path, &error),
    })
}

/// Adds a report to what a file has.
pub fn append_report(text: &str, path: &Path) -> Result<(), Problem> {
    append(path, text).map_err(|error| unwritable(path, &error))
}

/// Checks that a report can be written later: its folder takes new files, or it is no regular file.
pub fn can_store(path: &Path) -> Result<(), Problem> {
    if fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return Ok(());
    }
    let tried = match path.is_dir() {
        true => Err(io::ErrorKind::IsADirectory.into()),
        false => {
            passing(path).and_then(|passing| write_new(&passing, &[], 0o600).and_then(|()| fs::remove_file(passing)))
        }
    };
    tried.map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &io::Error) -> Problem {
    Problem::new(Kind::UnwritableFile { path: path.display().to_string(), why: error.to_string() })
}

fn append(path: &Path, text: &str) -> io::Result<()> {
    File::options().append(true).create(true).open(path)?.write_all(text.as_bytes())
}

/// Writes a new file beside the one that it takes the name of, once `ready` has been at it.
fn replace(path: &Path, bytes: &[u8], mode: u32, ready: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let passing = passing(path)?;
    let written = write_new(&passing, bytes, mode).and_then(|()| ready(&passing));
    written.and_then(|()| fs::rename(&passing, path)).inspect_err(|_| {
        // The error that matters is the first one.
        let _ = fs::remove_file(&passing);
    })
}

/// Makes a folder, and those that it is in.
pub fn make_folder(path: &Path) -> Result<(), Problem> {
    fs::create_dir_all(path).map_err(|error| unwritable(path, &error))
}

fn passing(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    Ok(path.with_file_name(format!(".{}.{}", name.to_string_lossy(), std::process::id())))
}

fn write_new(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut file = File::options().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Returns which boot of which host this is.
pub fn boot() -> Result<String, Problems> {
    text(Path::new("/proc/sys/kernel/random/boot_id")).map(|id| id.trim().to_owned())
}

/// Reads an object file.
pub fn object(path: &Path) -> Result<(Vec<u8>, elf::Object), Problems> {
    let shown = path.display().to_string();
    let bytes = read(path)
        .map_err(|error| Problem::new(Kind::UnreadableFile { path: shown.clone(), why: error.to_string() }))?;
    let parsed = elf::parse(&bytes).map_err(|errors| of_object(&shown, errors, Problem::new))?;
    Ok((bytes, parsed))
}

/// Reads some objects, and those below some folders, where their names end in `.o`. What a folder has that is none is
/// left out.
///
/// # Errors
/// What is wrong with files that were named themselves, and folders without any object.
pub fn objects_below(paths: &[PathBuf]) -> Result<Vec<(PathBuf, elf::Object)>, Problems> {
    let mut problems = Problems::default();
    let mut objects = Vec::new();
    for path in paths {
        if !path.is_dir() {
            match object(path) {
                Ok((_, object)) => objects.push((path.clone(), object)),
                Err(found) => problems.0.extend(found.0),
            }
            continue;
        }
        let mut files = Vec::new();
        files_below(path, &mut files);
        files.sort();
        let start = objects.len();
        objects.extend(files.into_iter().filter_map(|path| object(&path).ok().map(|(_, object)| (path, object))));
        if objects.len() == start {
            let why = "no object file (`*.o`) is below this folder".to_owned();
            problems.push(Problem::new(Kind::UnreadableFile { path: path.display().to_string(), why }));
        }
    }
    problems.or(objects)
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        // A link to a folder may lead back up.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            files_below(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "o") {
            found.push(path);
        }
    }
}

/// Reads a manifest. Where something is wrong with it, what is wrong with the files that it names is said as well, as far as
/// their names can be read.
pub fn manifest(text: &str, vars: &BTreeMap<String, String>, folder: &Path) -> Result<Manifest, Problems> {
    let (manifest, mut problems) = manifest::parse_partly(text, vars);
    let partly = manifest.as_ref().filter(|_| !problems.0.is_empty());
    if let Some(Err(others)) = partly.map(|manifest| files(manifest, folder)) {
        problems.0.extend(others.0);
    }
    problems.or(manifest).map(|manifest| manifest.expect("a manifest that was not read has a problem"))
}

/// Reads every file that a manifest names; paths are relative to `folder`.
pub fn files(manifest: &Manifest, folder: &Path) -> Result<Files, Problems> {
    match (objects(manifest, folder), entries(manifest, folder)) {
        (Ok(objects), Ok(entries)) => Ok(Files { objects, entries }),
        (Err(mut problems), Err(others)) => {
            problems.0.extend(others.0);
            Err(problems)
        }
        (Err(problems), Ok(_)) | (Ok(_), Err(problems)) => Err(problems),
    }
}

/// Lists the files of entries that a manifest names, by their maps.
fn entry_files(manifest: &Manifest) -> impl Iterator<Item = (&MapName, &manifest::MapEntries, &str, Option<Digest>)> {
    manifest.maps.iter().filter_map(|(name, map)| {
        let entries = map.entries.as_ref()?;
        match &entries.source {
            EntriesSource::File { path, sha256 } => Some((name, entries, path.as_str(), *sha256)),
            EntriesSource::Given(_) => None,
        }
    })
}

/// Reads every file of entries that a manifest names.
pub fn entries(manifest: &Manifest, folder: &Path) -> Result<BTreeMap<MapName, EntryFile>, Problems> {
    let mut problems = Problems::default();
    let mut files = BTreeMap::new();
    for (name, entries, path, wanted) in entry_files(manifest) {
        let kind = match read(&folder.join(path)) {
            Err(error) => Kind::UnreadableFile { path: path.to_owned(), why: error.to_string() },
            Ok(bytes) => {
                let file = EntryFile { path: path.to_owned(), sha256: Digest::of(&bytes), bytes };
                if wanted.is_none_or(|wanted| wanted == file.sha256) {
                    files.insert(name.clone(), file);
                    continue;
                }
                // Only a saved plan wants certain bytes of it.
                other_than_planned(path)
            }
        };
        problems.push(Problem::at(kind, entries.span.clone(), "this file"));
    }
    problems.or(files)
}

/// Says that a file is not what it was when the plan was saved.
fn other_than_planned(path: &str) -> Kind {
    Kind::Stale { what: format!("`{path}` has other bytes") }
}

/// Reads every object of a manifest.
fn objects(manifest: &Manifest, folder: &Path) -> Result<BTreeMap<ObjectName, ObjectFile>, Problems> {
    let tables: Vec<_> = manifest.objects.iter().collect();
    let threads = tables.len() / OBJECTS_PER_THREAD;
    let read = parallel::map_with(&tables, threads, Buffer::default, |buffer, (_, table)| {
        Ok::<_, Infallible>(object_file(table, folder, buffer))
    });
    let read = read.unwrap_or_else(|(_, never)| match never {});
    let mut problems = Problems::default();
    let mut files = BTreeMap::new();
    for ((name, _), file) in tables.into_iter().zip(read) {
        match file {
            Ok(file) => drop(files.insert(name.clone(), file)),
            Err(found) => problems.0.extend(found.0),
        }
    }
    problems.or(files)
}

/// The files that a plan is made from, by the maps and objects that name them.
pub struct Digests<'a> {
    /// Objects.
    pub objects: Vec<(&'a ObjectName, Digest)>,
    /// Files of entries.
    pub entries: Vec<(&'a MapName, Digest)>,
}

impl<'a> Digests<'a> {
    /// Takes those of files that were read.
    pub fn of(files: &'a Files) -> Self {
        Self {
            objects: files.objects.iter().map(|(name, file)| (name, file.sha256)).collect(),
            entries: files.entries.iter().map(|(name, file)| (name, file.sha256)).collect(),
        }
    }
}

/// Digests everything that a plan is made from, but for the host: the tool, the manifest with its variables, and the
/// files that it names.
pub fn inputs(text: &str, vars: &BTreeMap<String, String>, files: &Digests<'_>) -> Digest {
    let mut all = format!("{} {}\n", env!("CARGO_PKG_VERSION"), Digest::of(text.as_bytes()));
    // Writing to a string cannot fail.
    for (name, value) in vars {
        let _ = writeln!(all, "var {name} = {value:?}");
    }
    for (name, digest) in &files.objects {
        let _ = writeln!(all, "object {name} {digest}");
    }
    for (name, digest) in &files.entries {
        let _ = writeln!(all, "entries {name} {digest}");
    }
    Digest::of(all.as_bytes())
}

/// Digests the files of a manifest as they are now; `None` when one cannot be read, or needs more than its own bytes.
pub fn digests<'a>(manifest: &'a Manifest, folder: &Path) -> Option<Digests<'a>> {
    let tables: Vec<_> = manifest.objects.iter().collect();
    let threads = tables.len() / OBJECTS_PER_THREAD;
    let digests = parallel::map_with(&tables, threads, Buffer::default, |buffer, (_, table)| match table.btf {
        None => buffer.read(&folder.join(&table.path.value)).map(Digest::of).map_err(drop),
        Some(_) => Err(()),
    });
    let objects = tables.into_iter().map(|(name, _)| name).zip(digests.ok()?).collect();
    let mut buffer = Buffer::default();
    let entries = entry_files(manifest)
        .map(|(name, _, path, _)| Some((name, buffer.read(&folder.join(path)).map(Digest::of).ok()?)));
    Some(Digests { objects, entries: entries.collect::<Option<_>>()? })
}

/// Reads one object of a manifest, and the types that go with it.
fn object_file(table: &manifest::Object, folder: &Path, buffer: &mut Buffer) -> Result<ObjectFile, Problems> {
    let path = &table.path;
    let at = |kind: Kind| Problem::at(kind, path.span.clone(), "this file");
    let bytes = buffer
        .read(&folder.join(&path.value))
        .map_err(|error| at(Kind::UnreadableFile { path: path.value.clone(), why: error.to_string() }))?;
    let sha256 = Digest::of(bytes);
    if let Some(wanted) = table.sha256.as_ref().filter(|wanted| wanted.value != sha256) {
        let kind = Kind::OtherBytes { path: path.value.clone(), is: sha256 };
        return Err(Problem::at(kind, wanted.span.clone(), "another one is wanted here").into());
    }
    if table.planned.is_some_and(|planned| planned != sha256) {
        return Err(at(other_than_planned(&path.value)).into());
    }
    let types = table.btf.as_ref().map(|file| {
        types(&folder.join(&file.value), &file.value).map_err(|why| {
            let kind = Kind::UnreadableFile { path: file.value.clone(), why };
            Problem::at(kind, file.span.clone(), "this file")
        })
    });
    let (object, types) = match (elf::parse(bytes), types.transpose()) {
        (Ok(object), Ok(types)) => (Arc::new(object), types),
        (Ok(_), Err(problem)) => return Err(problem.into()),
        (Err(errors), types) => {
            let mut problems = of_object(&path.value, errors, at);
            problems.0.extend(types.err());
            return Err(problems);
        }
    };
    let named_by_bytes = object.maps.iter().any(|map| map.pinning == elf::Pinning::ObjectNs);
    let sha1 = named_by_bytes.then(|| sha1_hex(bytes));
    Ok(ObjectFile { path: path.value.clone(), sha256, sha1, object, types })
}

/// Reads the types of a kernel that messages call `name`: a file of BTF, or an ELF file, such as a `vmlinux`, with a
/// section of it.
///
/// # Errors
/// Why there are none, as a sentence without capital and full stop.
fn types(path: &Path, name: &str) -> Result<TypesFile, String> {
    let mut bytes = read(path).map_err(|error| error.to_string())?;
    if bytes.starts_with(b"\x7fELF") {
        bytes = elf::types_section(&bytes).map_err(|error| error.to_string())?.to_vec();
    }
    let types = KernelTypes::parse(Box::new(bytes)).map_err(|error| format!("this is no BTF: {error}"))?;
    // All types are read over once, so that a damaged file is said here and not of each program.
    types.count().map_err(|error| format!("its BTF is damaged: {error}"))?;
    Ok(TypesFile { name: name.to_owned(), types: Arc::new(types) })
}

/// Returns the SHA-1 of an object file, after which iproute2 names the folder of `PIN_OBJECT_NS`.
fn sha1_hex(bytes: &[u8]) -> String {
    use sha1::Digest as _;
    hex(&sha1::Sha1::digest(bytes))
}

fn of_object(path: &str, errors: Vec<elf::Error>, problem: impl Fn(Kind) -> Problem) -> Problems {
    Problems(errors.into_iter().map(|error| problem(Kind::Object { path: path.to_owned(), error })).collect())
}

/// Reads `--var NAME=VALUE` and `--var-file FILE`; the later one of two that set the same variable counts.
pub fn variables(files: &[std::path::PathBuf], given: &[String]) -> Result<BTreeMap<String, String>, Problems> {
    let mut all = BTreeMap::new();
    for path in files {
        let table: toml::Table = text(path)?.parse().map_err(|error: toml::de::Error| {
            Problem::new(Kind::Syntax(format!("{}: {}", path.display(), error.message())))
        })?;
        for (name, value) in table {
            let value = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Float(number) => number.to_string(),
                toml::Value::Boolean(truth) => truth.to_string(),
                toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => {
                    let what = format!("{}: `{name}` must be a string, a number or a boolean", path.display());
                    return Err(Problem::new(Kind::Syntax(what)).into());
                }
            };
            all.insert(name, value);
        }
    }
    for pair in given {
        match pair.split_once('=') {
            Some((name, value)) => all.insert(name.to_owned(), value.to_owned()),
            None => {
                let what = format!("--var takes NAME=VALUE, and `{pair}` has no `=`");
                return Err(Problem::new(Kind::Usage(what)).into());
            }
        };
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of `/proc` say that they are empty, and those of `/sys` that they fill a page.
    #[test]
    fn files_are_read_whatever_length_they_tell() {
        let folder = tempfile::tempdir().expect("a folder");
        for len in [0, 1, 100_000] {
            let path = folder.path().join(len.to_string());
            std::fs::write(&path, vec![7; len]).expect("a file");
            assert_eq!(read(&path).expect("its bytes"), vec![7; len]);
        }
        for path in ["/proc/version", "/sys/kernel/mm/transparent_hugepage/enabled", "/proc/filesystems"] {
            let path = Path::new(path);
            if let Ok(bytes) = std::fs::read(path) {
                assert_eq!(read(path).expect("its bytes"), bytes, "{}", path.display());
            }
        }
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("mkfifo runs");
        assert!(made.success());
        for special in [folder.path(), &pipe, Path::new("/dev/zero")] {
            let error = read(special).expect_err("it is no file");
            assert_eq!(error.to_string(), "not a regular file", "{}", special.display());
        }
    }
}
