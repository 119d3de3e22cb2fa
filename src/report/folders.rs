//! Folders take one line for each tree of them, since nobody reads ten lines of `mkdir`.

use crate::names::PinPath;
use crate::plan::Action;

/// A line of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item<'a, T> {
    /// A step that is no folder's.
    One(&'a T),
    /// Steps of folders that lie in one another, of which this is the first.
    Folders {
        /// The first of them.
        first: &'a T,
        /// The outermost folder, and the innermost ones in it.
        words: String,
    },
}

impl<'a, T> Item<'a, T> {
    /// Returns the only or the first step of the line.
    pub fn first(&self) -> &'a T {
        match self {
            Self::One(step) => step,
            Self::Folders { first, .. } => first,
        }
    }
}

/// Returns the folder that an action makes or removes.
pub fn folder(action: &Action) -> Option<&PinPath> {
    match action {
        Action::ClearLeftover { path, .. }
        | Action::MountBpffs { at: path }
        | Action::MakeDirectory { path }
        | Action::RemoveDirectory { path } => Some(path),
        Action::ReuseMap { .. }
        | Action::CreateMap { .. }
        | Action::FillMap { .. }
        | Action::FillSlots { .. }
        | Action::SetAccess { .. }
        | Action::CopyEntries { .. }
        | Action::CatchUp { .. }
        | Action::FinishCopy { .. }
        | Action::WriteEntries { .. }
        | Action::SetVariables { .. }
        | Action::ReuseProgram { .. }
        | Action::LoadProgram { .. }
        | Action::RestoreMap { .. }
        | Action::RestoreProgram { .. }
        | Action::RestorePin { .. }
        | Action::RenameLink { .. }
        | Action::ReuseLink { .. }
        | Action::Skip { .. }
        | Action::Attach { .. }
        | Action::UpdateLink { .. }
        | Action::Reattach { .. }
        | Action::Detach { .. }
        | Action::RemoveProgram { .. }
        | Action::RemoveMap { .. }
        | Action::WriteRecord { .. }
        | Action::RemoveRecord { .. } => None,
    }
}

/// Puts neighbouring steps on folders together where `same` is the same.
pub fn items<'a, T, K: PartialEq>(
    steps: &'a [T],
    folder: impl Fn(&'a T) -> Option<(&'a PinPath, K)>,
) -> Vec<Item<'a, T>> {
    let mut items = Vec::new();
    let mut at = 0;
    while at < steps.len() {
        let Some((_, same)) = folder(&steps[at]) else {
            items.push(Item::One(&steps[at]));
            at += 1;
            continue;
        };
        let run = steps[at..].iter().map_while(|step| folder(step).filter(|(_, key)| *key == same));
        let mut paths: Vec<&PinPath> = run.map(|(path, _)| path).collect();
        let first = &steps[at];
        at += paths.len();
        paths.sort();
        while let Some(top) = paths.first().copied() {
            let (tree, rest) = paths.into_iter().partition(|path| path.is_below(top));
            items.push(Item::Folders { first, words: words(top, tree) });
            paths = rest;
        }
    }
    items
}

/// Writes `/sys/fs/bpf/edge with links, objects/filter/maps`: folders on the way to others go without saying.
fn words(top: &PinPath, tree: Vec<&PinPath>) -> String {
    let holds_others = |path: &&PinPath| tree.iter().any(|other| other != path && other.is_below(path));
    let inner = tree.iter().filter(|path| **path != top && !holds_others(path));
    let inner: Vec<&str> = inner.map(|path| path.as_str()[top.as_str().len()..].trim_start_matches('/')).collect();
    match inner.is_empty() {
        true => top.to_string(),
        false => format!("{top} with {}", inner.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(steps: &[&str], lines: &[&str]) {
        let steps: Vec<_> = steps.iter().map(|text| PinPath::new(text).ok().ok_or(*text)).collect();
        let items = items(&steps, |step| step.as_ref().ok().map(|path| (path, ())));
        let got: Vec<_> = items
            .into_iter()
            .map(|item| match item {
                Item::One(step) => step.as_ref().unwrap_err().to_string(),
                Item::Folders { words, .. } => words,
            })
            .collect();
        assert_eq!(got, lines);
    }

    #[test]
    fn trees_of_folders() {
        check(&["/b/a"], &["/b/a"]);
        check(&["/b/a", "/b/a/x", "/b/a/x/y", "/b/a/z"], &["/b/a with x/y, z"]);
        check(&["/b/a/z", "/b/a/x/y", "/b/a/x", "/b/a"], &["/b/a with x/y, z"]);
        check(&["/b/a", "map", "/b/a/x"], &["/b/a", "map", "/b/a/x"]);
        check(&["/b/a", "/b/ab", "/b/tc", "/b/tc/globals"], &["/b/a", "/b/ab", "/b/tc with globals"]);
    }
}
