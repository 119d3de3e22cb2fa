//! The members of a struct, union or section as C code reaches them: anonymous structs and unions are looked into.

use super::{Btf, MAX_DEPTH, Type, TypeId};

/// More members than any real struct has; small types can nest into more than memory holds.
const MAX_FIELDS: usize = 1 << 16;

/// One named member, or one variable of a section.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// Never empty.
    pub name: &'a str,
    /// Its type.
    pub ty: TypeId,
    /// From the start of the outermost struct, in bits.
    pub bit_offset: u64,
    /// In bits; none when it is not a bit-field.
    pub bits: Option<u32>,
}

impl Btf {
    /// Returns the fields of a struct or union, or the variables of a section, in the order they are declared.
    /// None for any other type, and for one that nests without end.
    pub fn fields(&self, id: TypeId) -> Option<Vec<Field<'_>>> {
        let mut budget = MAX_FIELDS;
        self.fields_within(id, &mut budget)
    }

    /// Returns the fields as [`Btf::fields`] does, and takes each member that it looks at from `budget`: a struct may
    /// have far more members than fields. None also when the budget does not suffice.
    pub(super) fn fields_within(&self, id: TypeId, budget: &mut usize) -> Option<Vec<Field<'_>>> {
        let mut fields = Vec::new();
        match self.resolved(id) {
            Type::Datasec { vars, .. } => {
                *budget = budget.checked_sub(vars.len())?;
                for var in vars {
                    if let Some(Type::Var { name, ty, .. }) = self.get(var.ty) {
                        let bit_offset = u64::from(var.offset) * 8;
                        fields.push(Field { name, ty: *ty, bit_offset, bits: None });
                    }
                }
            }
            _ => self.add_fields(id, 0, MAX_DEPTH, budget, &mut fields)?,
        }
        Some(fields)
    }

    fn add_fields<'a>(
        &'a self,
        id: TypeId,
        base: u64,
        depth: usize,
        budget: &mut usize,
        fields: &mut Vec<Field<'a>>,
    ) -> Option<()> {
        let (Type::Struct { members, .. } | Type::Union { members, .. }) = self.resolved(id) else {
            return None;
        };
        let depth = depth.checked_sub(1)?;
        for member in members {
            *budget = budget.checked_sub(1)?;
            let bit_offset = base + u64::from(member.bit_offset);
            if !member.name.is_empty() {
                let (skip, bits) = self.bit_field(member.ty, member.bitfield_size);
                fields.push(Field { name: &member.name, ty: member.ty, bit_offset: bit_offset + skip, bits });
            } else if matches!(self.resolved(member.ty), Type::Struct { .. } | Type::Union { .. }) {
                self.add_fields(member.ty, bit_offset, depth, budget, fields)?;
            }
        }
        Some(())
    }

    /// Returns how many bits to skip and the width of a bit-field. Old compilers write them into the integer's type.
    fn bit_field(&self, ty: TypeId, size: u8) -> (u64, Option<u32>) {
        match self.resolved(ty) {
            _ if size != 0 => (0, Some(u32::from(size))),
            Type::Int { size, bits, offset, .. } if u32::from(*bits) != size * 8 => {
                (u64::from(*offset), Some(u32::from(*bits)))
            }
            _ => (0, None),
        }
    }
}
