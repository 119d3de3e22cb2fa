//! The layout of a type written out as C does, with everything that lies inside of it.

use super::{Btf, Member, Type, TypeId};
use std::fmt::Write as _;

/// How deep structs inside of structs are written out.
const DEPTH: usize = 8;
/// How many lines are written; what is behind them is left out.
const LINES: usize = 200;
/// The indent of a level.
const INDENT: &str = "    ";

impl Btf {
    /// Returns the layout of a type over several lines: `struct flow {`, its members, `};`; of anything but a struct or
    /// a union its name alone. Structs of members are written out in their place.
    pub fn definition(&self, id: TypeId) -> String {
        let mut text = String::new();
        let mut room = LINES;
        self.write_member(&mut text, id, "", 0, &mut room);
        if room == 0 {
            text.push_str("...\n");
        }
        text
    }

    /// Writes one member with all that is inside of it; the whole type is a member without a name.
    fn write_member(&self, text: &mut String, id: TypeId, name: &str, depth: usize, room: &mut usize) {
        let indent = INDENT.repeat(depth);
        let (inside, arrays) = self.inside(id);
        let ty = self.get(inside).unwrap_or(&Type::Void);
        let (word, members) = match ty {
            Type::Struct { members, .. } => ("struct", members),
            Type::Union { members, .. } => ("union", members),
            _ => return self.write_line(text, &format!("{indent}{};", self.declaration(id, name)), room),
        };
        if depth == DEPTH {
            return self.write_line(text, &format!("{indent}{};", self.declaration(id, name)), room);
        }
        let tag = ty.name().filter(|tag| !tag.is_empty()).map_or_else(String::new, |tag| format!(" {tag}"));
        self.write_line(text, &format!("{indent}{word}{tag} {{"), room);
        for member in members {
            self.write_field(text, member, depth + 1, room);
        }
        let space = if name.is_empty() { "" } else { " " };
        self.write_line(text, &format!("{indent}}}{space}{name}{arrays};"), room);
    }

    fn write_field(&self, text: &mut String, member: &Member, depth: usize, room: &mut usize) {
        if *room == 0 {
            return;
        }
        match member.bitfield_size {
            0 => self.write_member(text, member.ty, &member.name, depth, room),
            bits => {
                let declared = self.declaration(member.ty, &member.name);
                self.write_line(text, &format!("{}{declared} : {bits};", INDENT.repeat(depth)), room);
            }
        }
    }

    fn write_line(&self, text: &mut String, line: &str, room: &mut usize) {
        if *room > 0 {
            *room -= 1;
            writeln!(text, "{line}").expect("writing to a String never fails");
        }
    }

    fn declaration(&self, id: TypeId, name: &str) -> String {
        self.declare(id, name.to_owned(), 0)
    }

    /// Follows a type through other names, qualifiers and arrays, and returns what is inside, with the arrays.
    fn inside(&self, id: TypeId) -> (TypeId, String) {
        let (mut id, mut arrays) = (id, String::new());
        for _ in 0..super::MAX_DEPTH {
            match self.get(id) {
                Some(Type::Array { element, count, .. }) => {
                    write!(arrays, "[{count}]").expect("writing to a String never fails");
                    id = *element;
                }
                Some(
                    Type::Typedef { ty, .. }
                    | Type::Const { ty }
                    | Type::Volatile { ty }
                    | Type::Restrict { ty }
                    | Type::TypeTag { ty, .. },
                ) => id = *ty,
                _ => break,
            }
        }
        (id, arrays)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::btf::Encoding;

    #[test]
    fn a_layout_is_written_as_c_does() {
        let mut btf = Btf::default();
        let u32 =
            btf.push(Type::Int { name: "__u32".into(), size: 4, bits: 32, offset: 0, encoding: Encoding::Unsigned });
        let member =
            |name: &str, ty, bit_offset, bitfield_size| Member { name: name.into(), ty, bit_offset, bitfield_size };
        let address = btf.push(Type::Struct { name: "".into(), size: 4, members: vec![member("v4", u32, 0, 0)] });
        let named = btf.push(Type::Typedef { name: "address_t".into(), ty: address });
        let list = btf.push(Type::Array { element: named, index: u32, count: 2 });
        let pointer = btf.push(Type::Ptr { ty: address });
        let members = vec![member("peers", list, 0, 0), member("flags", u32, 64, 3), member("next", pointer, 128, 0)];
        let whole = btf.push(Type::Struct { name: "flow".into(), size: 24, members });
        let rows = [
            (u32, "__u32;\n"),
            (named, "struct {\n    __u32 v4;\n};\n"),
            (
                whole,
                "struct flow {\n    struct {\n        __u32 v4;\n    } peers[2];\n    __u32 flags : 3;\n    struct {...} *next;\n};\n",
            ),
        ];
        for (id, expected) in rows {
            assert_eq!(btf.definition(id), expected);
        }
    }

    #[test]
    fn what_has_no_end_ends() {
        let mut btf = Btf::default();
        let id = btf.types().len() as TypeId;
        let members = (0..3).map(|at| Member { name: "m".into(), ty: id, bit_offset: at, bitfield_size: 0 }).collect();
        btf.push(Type::Struct { name: "endless".into(), size: 4, members });
        assert!(btf.definition(id).lines().count() <= LINES + 1);
    }
}
