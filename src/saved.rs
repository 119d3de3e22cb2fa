//! A saved plan: what `--out` writes and `--plan` applies.
//!
//! It says which plan, of which files, and which things of one boot of one host the plan is about. It does not say
//! what to do: that is planned anew from the same manifest, and done when it comes out the same.

use crate::json;
use crate::names::{Digest, PinPath, PlanId};
use crate::plan::{Expects, Plan};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The format that this version writes. Any other is refused, never guessed.
pub const FORMAT: u32 = 1;

/// A bpfapply plan, as `bpfapply plan.toml --dry-run --out FILE` saves it and `bpfapply --plan FILE` applies it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "bpfapply saved plan")]
pub struct SavedPlan {
    /// Version of this format. Always `1`.
    #[schemars(range(min = 1, max = 1))]
    pub format: u32,
    /// Which plan it is.
    #[schemars(with = "String", regex(pattern = "^[0-9a-f]{32}$"))]
    pub id: PlanId,
    /// What it is made from.
    pub manifest: SavedManifest,
    /// Variables that were set from outside, by name.
    pub variables: BTreeMap<String, String>,
    /// SHA-256 digests of the objects, by their names in the manifest.
    #[schemars(with = "BTreeMap<String, Hex64>")]
    pub objects: BTreeMap<String, Digest>,
    /// SHA-256 digests of the files of entries, by their maps in the manifest.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(with = "BTreeMap<String, Hex64>")]
    pub entries: BTreeMap<String, Digest>,
    /// The host that it is for.
    pub host: SavedHost,
}

/// A manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SavedManifest {
    /// Where it was: paths in it are relative to that.
    pub path: String,
    /// All of it.
    pub text: String,
}

/// What a plan is about on one host, between two boots of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SavedHost {
    /// The boot, as `/proc/sys/kernel/random/boot_id` says it.
    pub boot: String,
    /// The identities that steps rely on, in the order of the plan.
    pub steps: Vec<SavedStep>,
    /// The inodes of the pins that stay.
    #[schemars(with = "BTreeMap<String, u64>")]
    pub pins: BTreeMap<PinPath, u64>,
    /// How often the hooks had changed that the plan changes and several programs share.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub revisions: BTreeMap<String, u64>,
}

/// What one step relies on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SavedStep {
    /// What the step is about, for example `map.flows`.
    pub address: String,
    /// What that must be.
    pub expects: Expects,
}

/// 64 hexadecimal digits, for the schema.
#[derive(JsonSchema)]
#[schemars(inline)]
struct Hex64(
    #[schemars(regex(pattern = "^[0-9A-Fa-f]{64}$"))]
    #[allow(dead_code, reason = "only its schema is used")]
    String,
);

impl SavedPlan {
    /// Writes the file.
    pub fn encode(&self) -> String {
        serde_json::to_string_pretty(self).expect("it has only strings and numbers, which JSON always takes") + "\n"
    }

    /// Reads the file.
    ///
    /// # Errors
    /// Why it is none, as a sentence without capital and full stop.
    pub fn decode(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let head: Head = serde_json::from_str(text).map_err(|error| json::wrong(&error))?;
        match head.format {
            FORMAT => serde_json::from_str(text).map_err(|error| json::wrong(&error)),
            other => Err(format!("it has format {other}, and this version knows {FORMAT} alone")),
        }
    }

    /// Returns the JSON schema of the file.
    pub fn schema() -> serde_json::Value {
        let settings = schemars::generate::SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
        settings.into_generator().into_root_schema_for::<Self>().to_value()
    }
}

impl SavedHost {
    /// Takes what a plan says of the host.
    pub fn of(plan: &Plan, boot: String) -> Self {
        let steps = plan
            .steps
            .iter()
            .map(|step| SavedStep { address: step.action.address().to_string(), expects: Expects::of(&step.action) });
        let steps = steps.filter(|step| step.expects != Expects::default()).collect();
        let changed = plan.changed_hooks().filter_map(|hook| {
            let revision = plan.shared.seen.get(&hook)?.revision;
            Some((hook, revision))
        });
        let revisions =
            changed.filter(|(_, revision)| *revision != 0).map(|(hook, it)| (hook.to_string(), it)).collect();
        Self { boot, steps, pins: plan.kept_pins().collect(), revisions }
    }

    /// Says what is different now; `None` for the same host.
    pub fn difference(&self, now: &Self) -> Option<String> {
        if self.boot != now.boot {
            return Some("this is another host, or it was started again".to_owned());
        }
        let steps = self.steps.iter().filter(|step| !now.steps.contains(step)).map(|step| step.address.clone());
        let pins = self.pins.iter().filter(|(pin, inode)| now.pins.get(*pin) != Some(*inode));
        let hooks = self.revisions.iter().filter(|(hook, revision)| now.revisions.get(*hook) != Some(*revision));
        let hooks = hooks.map(|(hook, _)| format!("the programs on {hook}"));
        let mut differs: Vec<String> = steps.chain(pins.map(|(pin, _)| format!("`{pin}`"))).chain(hooks).collect();
        differs.dedup();
        match differs.is_empty() && self != now {
            true => Some("there is more than there was".to_owned()),
            false => (!differs.is_empty()).then(|| format!("not the same as then: {}", differs.join(", "))),
        }
    }
}
