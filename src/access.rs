//! Who may open a pin: its mode, its owner and its group. Unless somebody asks for more, that is who made it, and root.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a pin is to have, as the manifest says it; `None` for what it does not say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// The nine bits of `chmod`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<u32>,
    /// The user that owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Account>,
    /// The group that owns it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<Account>,
}

/// A user or a group: by its number, or by its name on the host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Account {
    /// The number.
    Id(u32),
    /// The name.
    Name(String),
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => write!(f, "{id}"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

/// Which of the two lists of accounts a name is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountKind {
    /// Users.
    User,
    /// Groups.
    Group,
}

impl fmt::Display for AccountKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::User => "user",
            Self::Group => "group",
        })
    }
}

/// What a pin has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permissions {
    /// The nine bits of `chmod`.
    pub mode: u32,
    /// Number of the user.
    pub owner: u32,
    /// Number of the group.
    pub group: u32,
}

/// Writes a mode as `chmod` takes it: `0640`.
pub fn octal(mode: u32) -> String {
    format!("{mode:04o}")
}

impl Permissions {
    const OTHERS: u32 = 0o077;

    /// Returns whether anybody but root and `maker`, who made it, may open a pin or enter a folder, or decide who may.
    pub fn lets_others(self, maker: u32) -> bool {
        self.mode & Self::OTHERS != 0 || self.is_of_another(maker)
    }

    fn is_of_another(self, maker: u32) -> bool {
        self.owner != 0 && self.owner != maker
    }
}

impl Access {
    /// What the folders of a deployment have, whatever their pins have.
    pub fn of_new_folders() -> Self {
        Self { mode: Some(0o700), ..Self::default() }
    }

    /// What root's pins have when nobody asks for anything (`bpf_mkobj_ops`, kernel/bpf/inode.c).
    pub fn of_new_pins() -> Self {
        Self { mode: Some(0o600), owner: Some(Account::Id(0)), group: Some(Account::Id(0)) }
    }

    /// Returns whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Returns the names that have to be looked up.
    pub fn names(&self) -> impl Iterator<Item = (AccountKind, &str)> {
        let accounts = [(AccountKind::User, &self.owner), (AccountKind::Group, &self.group)];
        accounts.into_iter().filter_map(|(kind, account)| match account {
            Some(Account::Name(name)) => Some((kind, name.as_str())),
            Some(Account::Id(_)) | None => None,
        })
    }

    /// Returns what is asked for, and what new pins have for all that `before` asked for and this does not any more.
    #[must_use]
    pub fn instead_of(&self, before: &Self) -> Self {
        let Self { mode, owner, group } = Self::of_new_pins();
        Self {
            mode: self.mode.or(before.mode.and(mode)),
            owner: self.owner.clone().or(before.owner.as_ref().and(owner)),
            group: self.group.clone().or(before.group.as_ref().and(group)),
        }
    }

    /// Returns what this asks for, and `other` for what it does not say.
    #[must_use]
    pub fn or(&self, other: &Self) -> Self {
        Self {
            mode: self.mode.or(other.mode),
            owner: self.owner.as_ref().or(other.owner.as_ref()).cloned(),
            group: self.group.as_ref().or(other.group.as_ref()).cloned(),
        }
    }

    /// Returns it with what shuts a pin that others may open though nobody asked for that: by its mode, or as they own it.
    /// Root may, and `maker`, who made it.
    #[must_use]
    pub fn or_shut(&self, now: Permissions, maker: u32) -> Self {
        let Self { mode, .. } = Self::of_new_pins();
        Self {
            mode: self.mode.or(mode.filter(|_| now.mode & Permissions::OTHERS != 0)),
            owner: self.owner.clone().or(now.is_of_another(maker).then_some(Account::Id(maker))),
            group: self.group.clone(),
        }
    }

    /// Returns what a pin lacks of it; `number` tells that of a name, and `None` for one that nobody has.
    #[must_use]
    pub fn lacking(&self, now: Permissions, number: impl Fn(AccountKind, &str) -> Option<u32>) -> Self {
        let is = |kind, account: &Account, now| match account {
            Account::Id(id) => *id == now,
            Account::Name(name) => number(kind, name) == Some(now),
        };
        Self {
            mode: self.mode.filter(|mode| *mode != now.mode),
            owner: self.owner.clone().filter(|owner| !is(AccountKind::User, owner, now.owner)),
            group: self.group.clone().filter(|group| !is(AccountKind::Group, group, now.group)),
        }
    }

    /// Writes what a pin has, and what it lacks: `mode 0600, not 0640`.
    pub fn difference(&self, now: Permissions) -> String {
        self.parts(Some(now), |what, now, wanted| format!("{what} {now}, not {wanted}"))
    }

    /// Writes what is asked for: `mode 0640, group metrics`; with what there is now: `mode 0600 -> 0640, group 0 -> metrics`.
    pub fn words(&self, now: Option<Permissions>) -> String {
        match now {
            Some(_) => self.parts(now, |what, now, wanted| format!("{what} {now} -> {wanted}")),
            None => self.parts(now, |what, _, wanted| format!("{what} {wanted}")),
        }
    }

    /// Writes each part that is asked for; what there is now is empty where nobody knows it.
    fn parts(&self, now: Option<Permissions>, write: impl Fn(&str, &str, &str) -> String) -> String {
        let now = now.map(|now| [octal(now.mode), now.owner.to_string(), now.group.to_string()]).unwrap_or_default();
        let account = |account: &Option<Account>| account.as_ref().map(Account::to_string);
        let wanted = [self.mode.map(octal), account(&self.owner), account(&self.group)];
        let parts = ["mode", "owner", "group"].into_iter().zip(&now).zip(wanted);
        let parts = parts.filter_map(|((what, now), wanted)| Some(write(what, now, &wanted?)));
        parts.collect::<Vec<_>>().join(", ")
    }
}
