//! Runs libbpf and the tool on objects, and reads what `reference.c` shows of each: one text for each program and map.

use crate::cases::Case;
use crate::common;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Duration;

/// Longest time for one command.
const LIMIT: Duration = Duration::from_secs(100);
/// What stands before our fingerprints, which libbpf cannot have.
const FINGERPRINT: &str = " 'bpfapply:v1:";

/// What is loaded of an object, by whomever.
#[derive(Debug, Default)]
pub struct Loaded {
    /// Why not all of it is loaded together.
    pub refusal: Option<String>,
    /// Each program by its function: what the kernel shows of it, or why it is not loaded alone either.
    pub programs: BTreeMap<String, Result<Vec<String>, Refusal>>,
    /// Every map, when all of it is loaded together.
    pub maps: Vec<String>,
}

/// Why a program is not loaded.
#[derive(Debug, Clone, Default)]
pub struct Refusal {
    /// What whoever loads it says.
    pub why: String,
    /// What was asked of the kernel, if it was the kernel that refused.
    pub tried: Option<String>,
}

/// The compiled helpers.
#[derive(Debug)]
pub struct Tools {
    reference: PathBuf,
    asked: PathBuf,
    /// Major and minor version of libbpf.
    pub libbpf: (u32, u32),
}

/// Returns a folder below `target`.
pub fn scratch() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("against_libbpf")
}

impl Tools {
    /// Compiles the helpers, once; the error says what this host lacks.
    pub fn get() -> Result<&'static Self, &'static str> {
        static TOOLS: OnceLock<Result<Tools, String>> = OnceLock::new();
        TOOLS.get_or_init(Self::compile).as_ref().map_err(String::as_str)
    }

    fn compile() -> Result<Self, String> {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/against_libbpf");
        let folder = scratch();
        fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        let compile = |source: &str, output: &Path, options: &[&str]| {
            let mut compiler = Command::new("cc");
            compiler.arg("-Wall").args(["-O1", "-o"]).arg(output).arg(sources.join(source)).args(options);
            common::run(&mut compiler).map_err(|error| format!("needs a C compiler and libbpf: {error}"))
        };
        let (reference, asked) = (folder.join("reference"), folder.join("asked.so"));
        compile("reference.c", &reference, &["-lbpf", "-ldl"])?;
        compile("asked.c", &asked, &["-shared", "-fPIC", "-ldl"])?;
        let output = common::run(Command::new(&reference).arg("version"))?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let number = |text: &str| text.trim().parse().map_err(|_| format!("libbpf calls itself `{text}`"));
        let (major, minor) = text.split_once('.').ok_or("libbpf has no version")?;
        Ok(Self { reference, asked, libbpf: (number(major)?, number(minor)?) })
    }

    /// Runs the reference; `what` is explained at its head.
    pub fn reference(&self, what: &str, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> String {
        let output = common::output(Command::new(&self.reference).arg(what).args(arguments), LIMIT).expect("it runs");
        assert!(output.status.success(), "reference {what}: {}", output.status);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Loads objects with libbpf; what stands before an object is explained at the reference's head.
    pub fn libbpf(&self, objects: &[PathBuf], asked: &Path) -> BTreeMap<PathBuf, Loaded> {
        let mut command = Command::new(&self.reference);
        let what =
            objects.iter().flat_map(|path| Case::said(path).map(|row| row.to_libbpf.into()).chain([path.clone()]));
        command.arg("load").args(what).env("LD_PRELOAD", &self.asked).env("ASKED", asked);
        let output = common::output(&mut command, LIMIT).expect("it runs");
        assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stdout));
        let text = String::from_utf8_lossy(&output.stdout);
        let asked = Asked::read(asked);
        let mut objects: Vec<(PathBuf, Vec<&str>)> = Vec::new();
        for line in text.lines() {
            match (line.strip_prefix("object "), objects.last_mut()) {
                (Some(path), _) => objects.push((path.into(), Vec::new())),
                (None, Some((_, lines))) => lines.push(line),
                (None, None) => panic!("the reference writes `{line}`"),
            }
        }
        objects.into_iter().map(|(path, lines)| (path, Loaded::read(lines.into_iter(), &asked))).collect()
    }

    /// Runs the tool on the manifest in a folder, watched.
    pub fn apply(&self, folder: &Path, asked: &Path) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_bpfapply"));
        command.arg(folder.join("plan.toml")).env("COLUMNS", "400").env("NO_COLOR", "1");
        command.env("LD_PRELOAD", &self.asked).env("ASKED", asked);
        common::output(&mut command, LIMIT).expect("the tool runs")
    }

    /// Shows what is pinned below folders.
    pub fn pinned(&self, folders: &[PathBuf], asked: &Path) -> Loaded {
        let pins = folders.iter().flat_map(|folder| common::tool::below(folder));
        let pins = pins.filter(|pin| !Path::new(pin).is_dir() && !pin.ends_with("/record"));
        Loaded::read(self.reference("show", pins).lines(), &Asked::read(asked))
    }
}

/// Returns what was asked for the last program that the kernel refused.
pub fn last_refused(asked: &Path) -> Option<String> {
    Asked::read(asked).0.remove("refused 0")
}

/// What was asked of the kernel, by `map ID` or `program ID`.
struct Asked(BTreeMap<String, String>);

impl Asked {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        let lines = text.lines().map(|line| {
            let mut words = line.splitn(3, ' ');
            let mut word = || words.next().unwrap_or_default();
            (format!("{} {}", word(), word()), word().to_owned())
        });
        Self(lines.collect())
    }
}

impl Loaded {
    /// Reads what the reference writes of one object.
    fn read<'a>(mut lines: impl Iterator<Item = &'a str>, asked: &Asked) -> Self {
        let mut loaded = Self::default();
        // The line behind says by its id what was asked of the kernel.
        let with_asked = |line: &str, id: Option<&str>| {
            let id = id.and_then(|id| id.strip_prefix("id ")).expect("an id behind");
            format!("{line}, asked for {}", asked.0.get(id).map_or("?", String::as_str))
        };
        while let Some(line) = lines.next() {
            let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
            match what {
                "refused" => {
                    let (name, why) = rest.split_once(' ').unwrap_or((rest, ""));
                    match name {
                        "WHOLE" => loaded.refusal = Some(why.to_owned()),
                        _ => {
                            let tried = lines.next().and_then(|line| line.strip_prefix("tried "));
                            let tried = tried.filter(|tried| !tried.is_empty()).map(str::to_owned);
                            loaded.programs.insert(name.to_owned(), Err(Refusal { why: why.to_owned(), tried }));
                        }
                    }
                }
                "map" => loaded.maps.push(with_asked(rest, lines.next())),
                "program" => {
                    let mut shown = vec![with_asked(rest, lines.next())];
                    while let Some(line) = lines.next().filter(|line| *line != "end") {
                        match line.starts_with("uses ") || line.starts_with("also ") {
                            true => shown.push(with_asked(line, lines.next())),
                            false if line.contains(FINGERPRINT) => {}
                            false => shown.push(line.to_owned()),
                        }
                    }
                    loaded.programs.insert(rest.to_owned(), Ok(shown));
                }
                _ => panic!("the reference writes `{line}`"),
            }
        }
        loaded.maps.sort();
        loaded
    }
}
