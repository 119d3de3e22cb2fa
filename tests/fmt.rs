//! How manifests are laid out, and how they are checked without a host.

use bpfapply::draft;
use proptest::prelude::*;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use toml::de::{DeTable, DeValue};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn manifests(folder: &str) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(root().join(folder))
        .expect("the folder is there")
        .map(|entry| entry.expect("it is readable").path())
        .map(|path| if path.is_dir() { path.join("plan.toml") } else { path })
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    found.sort();
    assert!(found.len() > 2, "the manifests were found");
    found
}

/// Writes what a text says, value by value as it is written, and not where.
fn meaning(text: &str) -> String {
    fn table(table: &DeTable<'_>) -> String {
        let entries = table.iter().map(|(key, at)| format!("{:?}: {}", key.get_ref(), value(at.get_ref())));
        format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
    }
    fn value(of: &DeValue<'_>) -> String {
        match of {
            DeValue::Table(inner) => table(inner),
            DeValue::Array(all) => format!("{:?}", all.iter().map(|at| value(at.get_ref())).collect::<Vec<_>>()),
            scalar => format!("{scalar:?}"),
        }
    }
    let root = DeTable::parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    table(root.get_ref())
}

/// Formats a text, and looks whether it means the same and is formatted then.
#[track_caller]
fn formatted(text: &str) -> String {
    let formatted = draft::format(text).unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
    assert_eq!(meaning(&formatted), meaning(text), "{text}\n=>\n{formatted}");
    assert_eq!(draft::format(&formatted).expect("it is TOML"), formatted, "a second time");
    formatted
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    for (text, wanted) in cases {
        let found = formatted(text);
        assert_eq!(found, *wanted, "\n{text}\n=>\n{found}");
    }
}

#[test]
fn spaces_and_columns() {
    check(&[
        ("", ""),
        ("\n\n", ""),
        ("# only a comment", "# only a comment\n"),
        ("a=1", "a = 1\n"),
        ("\ta =1  \nlong= 'x'\n\n\n\nb=2\r\n", "a    = 1\nlong = 'x'\n\nb = 2\n"),
        ("a . b=1\n\"c d\" . e.f = 2", "a.b       = 1\n\"c d\".e.f = 2\n"),
        ("[ a . b ]\nx=1\n[[  c  ]]\n", "[a.b]\nx = 1\n\n[[c]]\n"),
        ("[a]\n\n\nx=1\n# of b\n[b]\n[c]", "[a]\nx = 1\n\n# of b\n[b]\n\n[c]\n"),
        ("#:schema x\n\n\n# of a\n[a]", "#:schema x\n\n# of a\n[a]\n"),
        ("'é'=1\nabcd=2", "'é'  = 1\nabcd = 2\n"),
    ]);
}

#[test]
fn comments_keep_their_column_where_there_is_room() {
    check(&[
        ("a = 1 # x", "a = 1 # x\n"),
        ("a = 1# x", "a = 1 # x\n"),
        ("a=1     # x\n", "a = 1   # x\n"),
        ("long=1     # x\na=1        # y\n", "long = 1   # x\na    = 1   # y\n"),
        ("long=1 # x\na=1    # y\n", "long = 1 # x\na    = 1 # y\n"),
        ("[a] # x\nb = [1,\n2]       # y", "[a] # x\nb = [1,\n    2]   # y\n"),
    ]);
}

#[test]
fn values() {
    check(&[
        ("a=[ ]\nb={ }\nc=[ 1,2 ,3,]", "a = []\nb = {}\nc = [1, 2, 3]\n"),
        ("a={b=1,c.d='x', \"e\" = [{f=1}]}", "a = { b = 1, c.d = 'x', \"e\" = [{ f = 1 }] }\n"),
        ("a=[\n1\n,2 # two\n\n\n# three\n]", "a = [\n    1\n    , 2, # two\n\n    # three\n]\n"),
        ("a=[\n\n'x',\n'y' # why\n\n]", "a = [\n    'x',\n    'y', # why\n]\n"),
        ("a=[    # here\n1,2    # there\n]", "a = [ # here\n    1, 2, # there\n]\n"),
        ("a=[ # here\n1,2\n]", "a = [ # here\n    1, 2,\n]\n"),
        ("a=[\n[1,\n2],\n{b=1},\n]", "a = [\n    [1,\n        2],\n    { b = 1 },\n]\n"),
        ("a='''\n x  \n\n\n'''\nbc=1.5e3", "a  = '''\n x  \n\n\n'''\nbc = 1.5e3\n"),
        ("a=[\"x[\", # [\n\n]", "a = [\"x[\", # [\n]\n"),
    ]);
}

#[test]
fn what_is_no_toml_is_refused() {
    for text in ["a", "a = ", "[a", "a = 1 b = 2", "a = 1\na = 2", "a = [1 2]"] {
        assert!(draft::format(text).is_err(), "{text}");
    }
}

#[test]
fn examples_are_formatted() {
    for path in manifests("examples") {
        let text = fs::read_to_string(&path).expect("it is readable");
        assert_eq!(formatted(&text), text, "{}", path.display());
    }
}

#[test]
fn valid_manifests_mean_the_same() {
    for path in manifests("tests/manifests/valid") {
        formatted(&fs::read_to_string(&path).expect("it is readable"));
    }
}

/// Writes other white space between the same tokens, and more empty lines.
fn shaken(text: &str, choices: &[u8]) -> String {
    use toml_parser::lexer::TokenKind;
    let mut choices = choices.iter().copied().cycle();
    let tokens = toml_parser::Source::new(text).lex();
    let written = tokens.map(|token| {
        let token_text = &text[token.span().start()..token.span().end()];
        let choice = usize::from(choices.next().unwrap_or(0));
        match token.kind() {
            TokenKind::Whitespace => [" ", "", "\t", "     "][choice % 4].to_owned(),
            TokenKind::Newline => ["\n", "\n", "\r\n", "\n\n\n"][choice % 4].to_owned(),
            TokenKind::Comma | TokenKind::Equals => {
                [" ", ""][choice % 2].to_owned() + token_text + ["", " "][choice % 2]
            }
            _ => token_text.to_owned(),
        }
    });
    written.collect()
}

proptest! {
    #[test]
    fn however_they_were_written(which in 0..8_usize, choices in proptest::collection::vec(any::<u8>(), 1..200)) {
        let all: Vec<PathBuf> = manifests("tests/manifests/valid").into_iter().chain(manifests("examples")).collect();
        let text = fs::read_to_string(&all[which % all.len()]).expect("it is readable");
        let shaken = shaken(&text, &choices);
        prop_assert_eq!(meaning(&shaken), meaning(&text));
        formatted(&shaken);
    }
}

fn tool(arguments: &[&str], folder: &Path, input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_bpfapply"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    child.stdin.take().expect("it is a pipe").write_all(input.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it ends")
}

fn said(output: &Output) -> (Option<i32>, String) {
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn files_and_streams() {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, tidy) = (folder.path().join("plan.toml"), "a  = 1\nbc = 2\n");
    let run = |arguments: &[&str], input: &str| tool(arguments, folder.path(), input);
    fs::write(&path, "a=1\nbc=2\n").expect("it is writable");
    fs::write(folder.path().join("tidy.toml"), tidy).expect("it is writable");
    std::os::unix::fs::symlink("plan.toml", folder.path().join("link.toml")).expect("a link");
    let (code, text) = said(&run(&["fmt", "--check", "tidy.toml", "plan.toml"], ""));
    assert_eq!((code, text.as_str()), (Some(2), "plan.toml:1: `bpfapply fmt` writes it otherwise\n"));
    assert_eq!(fs::read_to_string(&path).expect("it is there"), "a=1\nbc=2\n", "a check changes nothing");
    assert_eq!(said(&run(&["fmt", "link.toml"], "")), (Some(0), String::new()));
    assert_eq!(fs::read_to_string(&path).expect("it is there"), tidy);
    assert!(folder.path().join("link.toml").is_symlink());
    assert_eq!(said(&run(&["fmt", "--check", "tidy.toml", "plan.toml"], "")), (Some(0), String::new()));
    assert_eq!(said(&run(&["fmt", "-"], "a=1\nbc=2")), (Some(0), tidy.to_owned()));
    assert_eq!(said(&run(&["fmt", "--check", "-"], tidy)), (Some(0), String::new()));
    assert_eq!(said(&run(&["fmt", "missing.toml", "-"], "a=")).0, Some(65));
    assert_eq!(said(&run(&["fmt"], "")).0, Some(64));
    assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 3, "nothing is left beside them");
}

#[test]
fn examples_are_valid() {
    let paths: Vec<String> = ["quickstart", "iproute2-legacy"].map(|name| format!("examples/{name}/plan.toml")).into();
    let output = tool(&["validate", &paths[0], &paths[1]], root(), "");
    let wanted = "examples/quickstart/plan.toml: valid: 2 objects, 1 map, 3 programs, 3 links\n\
                  examples/iproute2-legacy/plan.toml: valid: 2 objects, 1 map, 3 programs, 2 links\n";
    assert_eq!(said(&output), (Some(0), wanted.to_owned()), "{}", String::from_utf8_lossy(&output.stderr));
    let variable = tool(&["validate", &paths[0], "--var", "interface=eth9", "--output", "json"], root(), "");
    let json: serde_json::Value = serde_json::from_slice(&variable.stdout).expect("it is JSON");
    assert_eq!(
        (variable.status.code(), &json["valid"], &json["problems"]),
        (Some(0), &true.into(), &Vec::<u8>::new().into())
    );
}

/// A problem by its code, with its line and column.
type Coded<'a> = (&'a str, Option<(u64, u64)>);

/// Problems of the text, of files and of what both mean are three stages; those of one are said together.
#[test]
fn problems_have_places() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::copy(root().join("examples/quickstart/xdp.bpf.o"), folder.path().join("xdp.o")).expect("it is there");
    let head = "version = 1\nname = \"edge\"\n[object.xdp]\npath = \"xdp.o\"\n";
    let cases: &[(&str, &[Coded<'_>])] = &[
        ("a = ", &[("manifest::syntax", Some((1, 5)))]),
        (
            "version = 1\nname = \"edge\"\nnmae = 1\n[link.a]\nxdp = {}\n",
            &[
                ("manifest::unknown_key", Some((3, 1))),
                ("manifest::missing_key", Some((4, 7))),
                ("manifest::missing_key", Some((5, 1))),
            ],
        ),
        (
            "version = 1\nname = \"edge\"\n[object.a]\npath = \"a.o\"\n[object.b]\npath = \"b.o\"\n",
            &[("object::unreadable", Some((4, 8))), ("object::unreadable", Some((6, 8)))],
        ),
        (
            &format!("{head}[program.a]\nfrom = \"xdp:a\"\n[map.b]\nfrom = \"xdp:b\"\n"),
            &[("object::no_such_program", Some((6, 8))), ("object::no_such_map", Some((8, 8)))],
        ),
    ];
    for (text, wanted) in cases {
        fs::write(folder.path().join("plan.toml"), text).expect("it is writable");
        let output = tool(&["validate", "plan.toml", "--output", "json"], folder.path(), "");
        let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
        let found: Vec<_> = json["problems"]
            .as_array()
            .expect("a list")
            .iter()
            .map(|problem| {
                assert_eq!(problem["file"], "plan.toml");
                assert!(problem["message"].as_str().is_some_and(|message| !message.is_empty()));
                let place = problem["line"].as_u64().zip(problem["column"].as_u64());
                (problem["code"].as_str().expect("a text").to_owned(), place)
            })
            .collect();
        let wanted: Vec<_> = wanted.iter().map(|(code, place)| ((*code).to_owned(), *place)).collect();
        assert_eq!((found, output.status.code()), (wanted, Some(65)), "{text}");
        assert_eq!(json["valid"], false);
        let text = tool(&["validate", "plan.toml"], folder.path(), "");
        assert_eq!((text.status.code(), text.stdout.len()), (Some(65), 0));
    }
}
