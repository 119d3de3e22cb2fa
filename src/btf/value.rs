//! Values by type.
/// A value as the manifest writes it.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Value {
    Int(i128),
    Float(f64),
    Bool(bool),
    Text(String),
    List(Vec<Value>),
    Table(std::collections::BTreeMap<String, Value>),
}
