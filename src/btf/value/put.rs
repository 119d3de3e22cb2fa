//! Writes values into bytes, by their shape.

use super::address::{self, Address};
use super::number::{Number, Sign, from_hex, write_bits};
use super::shape::{Kind, Order, Part, Shape};
use super::{HEX, Problem, Value, ValueError, nearest, to_hex};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Somewhere in the bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) bit_offset: u64,
    /// None when it is not a bit-field.
    pub(super) bits: Option<u32>,
}

impl Place {
    /// Where the bytes start.
    pub(super) const START: Self = Self { bit_offset: 0, bits: None };

    pub(super) fn field(self, field: &Part) -> Self {
        Self { bit_offset: self.bit_offset.saturating_add(field.bit_offset), bits: field.bits }
    }

    pub(super) fn element(self, size: u32, index: usize) -> Self {
        let bits = (index as u64).saturating_mul(u64::from(size) * 8);
        Self { bit_offset: self.bit_offset.saturating_add(bits), bits: None }
    }

    /// Returns the width of a number in bits: of the bit-field, or of `size` bytes.
    pub(super) fn width(self, size: u32) -> u32 {
        self.bits.unwrap_or(size.saturating_mul(8))
    }

    /// Returns where `count` bytes are that start here.
    pub(super) fn bytes(self, count: usize) -> Option<std::ops::Range<usize>> {
        let start = usize::try_from(self.bit_offset / 8).ok().filter(|_| self.bit_offset.is_multiple_of(8))?;
        Some(start..start.checked_add(count)?)
    }
}

/// One cell of a row that makes up a value: the whole of it, or a field.
#[derive(Debug, Clone)]
pub struct Column {
    /// Fields from the outside in, as in `src.port`; empty for the whole.
    pub path: String,
    pub(super) shape: Arc<Shape>,
    pub(super) place: Place,
}

impl Column {
    /// Writes a value that has the kind of the column into a larger one, as [`Shape::encode`] does.
    ///
    /// # Errors
    /// As [`Shape::encode`].
    pub fn put(&self, value: &Value, out: &mut [u8]) -> Result<(), ValueError> {
        self.shape.put(self.place, value, out).map_err(|error| self.below(error))
    }

    fn below(&self, error: ValueError) -> ValueError {
        if self.path.is_empty() { error } else { error.below(&self.path) }
    }

    /// Writes what a cell says into a value.
    ///
    /// # Errors
    /// When it does not fit.
    pub fn encode(&self, text: &str, out: &mut [u8]) -> Result<(), ValueError> {
        self.shape.put_text(self.place, text, out).map_err(|error| self.below(error))
    }
}

impl Shape {
    /// Writes `value` into the start of `out`. What the value does not name keeps its bytes.
    ///
    /// # Errors
    /// When the value does not fit the type, or `out` is too short. Some fields may then be written already.
    pub fn encode(&self, value: &Value, out: &mut [u8]) -> Result<(), ValueError> {
        self.check_space(out.len())?;
        self.put(Place::START, value, out)
    }

    /// Lists what is wrong with a value that [`Shape::encode`] refuses: of a table or a list every field and element that
    /// does not fit. What is only wrong as a whole is not in it.
    pub fn faults(&self, value: &Value) -> Vec<ValueError> {
        match (&self.kind, value) {
            (Kind::Fields { fields, .. }, Value::Table(table)) => {
                let faults = table.iter().flat_map(|(name, value)| {
                    let found = fields.iter().find(|field| field.name == *name && !name.is_empty());
                    let faults = match found {
                        // The width of a bit-field is that of its part.
                        Some(Part { bits: Some(_), .. }) | None => {
                            let alone = BTreeMap::from([(name.clone(), value.clone())]);
                            return self.encode_anew(&Value::Table(alone)).err().into_iter().collect::<Vec<_>>();
                        }
                        Some(field) => field.shape.faults(value),
                    };
                    faults.into_iter().map(|fault| fault.below(name)).collect()
                });
                faults.collect()
            }
            (Kind::List { element, .. }, Value::List(list)) => {
                let faults = list.iter().enumerate().flat_map(|(index, value)| {
                    let faults = element.faults(value).into_iter();
                    faults.map(move |fault| fault.below(&format!("[{index}]")))
                });
                faults.collect()
            }
            (Kind::Prefix { key, .. }, Value::Table(_)) => key.faults(value),
            _ => self.encode_anew(value).err().into_iter().collect(),
        }
    }

    /// Writes a value into bytes of its own.
    fn encode_anew(&self, value: &Value) -> Result<(), ValueError> {
        self.encode(value, &mut vec![0; self.size.unwrap_or(0) as usize])
    }

    /// Writes what a text stands for, as [`Shape::encode`] does.
    ///
    /// # Errors
    /// As [`Shape::encode`].
    pub fn encode_text(&self, text: &str, out: &mut [u8]) -> Result<(), ValueError> {
        self.check_space(out.len())?;
        self.put_text(Place::START, text, out)
    }

    /// Lists the cells of a row that make up a value: one for each field, or one where a text can say it all.
    pub fn columns(self: &Arc<Self>) -> Vec<Column> {
        match &self.kind {
            Kind::Fields { fields, .. } if !self.rooms.any() => fields
                .iter()
                .filter(|field| !field.name.is_empty())
                .map(|field| {
                    let (path, shape) = (field.name.clone(), field.shape.clone());
                    Column { path, shape, place: Place::START.field(field) }
                })
                .collect(),
            _ => vec![self.whole()],
        }
    }

    /// Lists what a value says: field by field where it names fields, each by its path below `column`.
    ///
    /// # Errors
    /// When it names a field that is not there.
    pub fn named<'v>(
        self: &Arc<Self>,
        column: Column,
        value: &'v Value,
    ) -> Result<Vec<(Column, &'v Value)>, ValueError> {
        let (Value::Table(table), Some(_)) = (value, column.shape.fields_of()) else {
            return Ok(vec![(column, value)]);
        };
        let mut named = Vec::new();
        for (name, value) in table {
            let path = if column.path.is_empty() { name.clone() } else { format!("{}.{name}", column.path) };
            let field = self.column(&path).map_err(|error| column.below(error))?;
            named.extend(self.named(field, value)?);
        }
        Ok(named)
    }

    /// Returns a value as one cell.
    pub fn whole(self: &Arc<Self>) -> Column {
        Column { path: String::new(), shape: self.clone(), place: Place::START }
    }

    /// Returns the cell of a field; fields of fields are behind dots.
    ///
    /// # Errors
    /// When there is no such field.
    pub fn column(self: &Arc<Self>, path: &str) -> Result<Column, ValueError> {
        let mut column = self.whole();
        for name in path.split('.') {
            let shape = column.shape.clone();
            let field = shape.fields_of().and_then(|fields| fields.iter().find(|field| field.name == name));
            let Some(field) = field.filter(|field| !field.name.is_empty()) else {
                let near = nearest(name, shape.fields_of().into_iter().flatten().map(|field| field.name.as_str()));
                return Err(Problem::Field { given: name.to_owned(), near, ty: shape.ty.clone() }.into());
            };
            (column.place, column.shape) = (column.place.field(field), field.shape.clone());
        }
        path.clone_into(&mut column.path);
        Ok(column)
    }

    fn fields_of(&self) -> Option<&[Part]> {
        match &self.kind {
            Kind::Fields { fields, .. } => Some(fields),
            Kind::Prefix { key, .. } => key.fields_of(),
            _ => None,
        }
    }

    pub(super) fn check_space(&self, given: usize) -> Result<(), ValueError> {
        match self.size {
            Some(size) if size as usize <= given => Ok(()),
            needed => Err(Problem::Space { needed, given, ty: self.ty.clone() }.into()),
        }
    }

    fn put(&self, place: Place, value: &Value, out: &mut [u8]) -> Result<(), ValueError> {
        match (&self.kind, value) {
            (Kind::NotData | Kind::Pointer, _) => Err(Problem::NotData { ty: self.ty.clone() }.into()),
            (Kind::TooLarge, _) => Err(Problem::TooLarge { ty: self.ty.clone() }.into()),
            (_, Value::Text(text)) => self.put_text(place, text, out),
            (Kind::Bool, Value::Bool(_) | Value::Int(0 | 1)) => {
                self.put_bits(place, u128::from(matches!(value, Value::Bool(true) | Value::Int(1))), out)
            }
            (Kind::Int { sign, order }, Value::Int(number)) => {
                self.put_number(place, (*sign, *order), Number::new(*number), out)
            }
            (Kind::Int { sign, .. }, Value::Table(table)) => self.put_ordered(place, *sign, table, value, out),
            (Kind::Enum { sign, .. }, Value::Int(number)) => {
                self.put_number(place, (*sign, Order::Little), Number::new(*number), out)
            }
            (Kind::Float, Value::Float(number)) => self.put_float(place, *number, out),
            (Kind::Float, Value::Int(number)) => self.put_float(place, *number as f64, out),
            (Kind::Bytes { count, .. }, Value::List(list)) => {
                let byte = Self::int(self.byte_name(), 1, self.byte_sign(), Order::Little);
                self.put_list(place, (&byte, *count), list, out)
            }
            (Kind::List { element, count }, Value::List(list)) => self.put_list(place, (element, *count), list, out),
            (Kind::Fields { fields, .. }, Value::Table(table)) => self.put_fields(place, fields, table, out),
            (Kind::Prefix { key, .. }, _) => {
                key.put(place, value, out)?;
                self.check_prefix(place, out)
            }
            (
                Kind::Bool
                | Kind::Int { .. }
                | Kind::Enum { .. }
                | Kind::Float
                | Kind::Bytes { .. }
                | Kind::List { .. }
                | Kind::Fields { .. },
                Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::List(_) | Value::Table(_),
            ) => Err(self.wrong_kind(value)),
        }
    }

    fn put_text(&self, place: Place, text: &str, out: &mut [u8]) -> Result<(), ValueError> {
        let wrong = || self.wrong_kind(&Value::Text(text.to_owned()));
        if let (Some(digits), Some(size), None) = (text.strip_prefix(HEX), self.size, place.bits) {
            return self.put_hex(place, (digits, size), text, out);
        }
        match &self.kind {
            Kind::NotData | Kind::Pointer => Err(Problem::NotData { ty: self.ty.clone() }.into()),
            Kind::TooLarge => Err(Problem::TooLarge { ty: self.ty.clone() }.into()),
            Kind::Bool => match text {
                "true" | "1" => self.put_bits(place, 1, out),
                "false" | "0" => self.put_bits(place, 0, out),
                _ => Err(wrong()),
            },
            Kind::Int { sign, order } => match Number::parse(text) {
                Some(number) => self.put_number(place, (*sign, *order), number, out),
                None => self.put_address(place, text, out),
            },
            Kind::Enum { sign, values } => {
                let named = || values.iter().find(|known| known.name == text).map(|known| Number::new(known.value));
                let number = Number::parse(text).or_else(named).ok_or_else(|| {
                    let near = nearest(text, values.iter().map(|known| known.name.as_str()));
                    Problem::Name { given: text.to_owned(), near, ty: self.ty.clone() }
                })?;
                self.put_number(place, (*sign, Order::Little), number, out)
            }
            Kind::Float => self.put_float(place, text.parse().map_err(|_| wrong())?, out),
            Kind::Bytes { count, is_text: true, .. } if text.len() <= *count as usize => {
                let room = self.room(place, *count as usize, out)?;
                let (start, rest) = room.split_at_mut(text.len());
                start.copy_from_slice(text.as_bytes());
                rest.fill(0);
                Ok(())
            }
            Kind::Bytes { count, is_text: true, .. } => Err(self.length(text.len(), *count, "bytes of text").into()),
            Kind::Bytes { .. } | Kind::List { .. } | Kind::Fields { .. } => self.put_address(place, text, out),
            Kind::Prefix { key, is_address: false } => {
                key.put_text(place, text, out)?;
                self.check_prefix(place, out)
            }
            Kind::Prefix { is_address: true, .. } => self.put_prefix(place, text, out),
        }
    }

    fn put_hex(&self, place: Place, (digits, size): (&str, u32), text: &str, out: &mut [u8]) -> Result<(), ValueError> {
        let Some(data) = from_hex(digits) else {
            let wants = "two hexadecimal digits for each byte after `hex:`".to_owned();
            let given = Value::Text(text.to_owned()).to_string();
            return Err(Problem::Kind { given, wants, ty: self.ty.clone() }.into());
        };
        if data.len() != size as usize {
            return Err(self.length(data.len(), size, "bytes").into());
        }
        self.room(place, data.len(), out)?.copy_from_slice(&data);
        if let Kind::Prefix { .. } = self.kind { self.check_prefix(place, out) } else { Ok(()) }
    }

    /// Writes the text of an address where there is room for one, in network order.
    fn put_address(&self, place: Place, text: &str, out: &mut [u8]) -> Result<(), ValueError> {
        let address = Address::parse(text).filter(|_| place.bits.is_none());
        match address.filter(|address| self.rooms.has(address.bytes().len())) {
            Some(address) => {
                self.room(place, address.bytes().len(), out)?.copy_from_slice(address.bytes());
                Ok(())
            }
            None => Err(self.wrong_kind(&Value::Text(text.to_owned()))),
        }
    }

    /// Writes `10.0.0.0/8` as the key of an LPM trie; an address alone is a prefix of its own length.
    fn put_prefix(&self, place: Place, text: &str, out: &mut [u8]) -> Result<(), ValueError> {
        let (address, length) = text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
        let room = self.size.unwrap_or(0).saturating_sub(4);
        let wrong = || self.wrong_kind(&Value::Text(text.to_owned()));
        let address = Address::ip(address).filter(|address| address.bits() == room * 8).ok_or_else(wrong)?;
        let most = address.bits();
        let digits = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
        let length = match length {
            None => most,
            Some(text) => Some(text).filter(digits).and_then(|text| text.parse().ok()).ok_or_else(wrong)?,
        };
        check_length(length, most)?;
        let right = address.masked(length);
        if right != address {
            return Err(beyond(text.to_owned(), right.bytes(), length).into());
        }
        let room = self.room(place, 4 + address.bytes().len(), out)?;
        room[..4].copy_from_slice(&length.to_le_bytes());
        room[4..].copy_from_slice(address.bytes());
        Ok(())
    }

    /// Refuses a prefix that is longer than its bytes, or that has bits behind its end: the kernel does not look at
    /// them, so that two such keys could be one.
    fn check_prefix(&self, place: Place, out: &mut [u8]) -> Result<(), ValueError> {
        let size = self.size.unwrap_or(0);
        let bytes = self.room(place, size as usize, out)?;
        let Some((length, data)) = bytes.split_first_chunk::<4>() else {
            return Err(Problem::NotData { ty: self.ty.clone() }.into());
        };
        let length = u32::from_le_bytes(*length);
        check_length(length, data.len() as u32 * 8)?;
        let mut right = data.to_vec();
        address::clear_behind(&mut right, length);
        if *data == right {
            return Ok(());
        }
        let given = address::text(data).unwrap_or_else(|| to_hex(data));
        Err(beyond(format!("{given}/{length}"), &right, length).into())
    }

    /// Writes `{ be16 = 443 }`: a number whose byte order the manifest says.
    fn put_ordered(
        &self,
        place: Place,
        sign: Sign,
        table: &BTreeMap<String, Value>,
        value: &Value,
        out: &mut [u8],
    ) -> Result<(), ValueError> {
        let said = table.first_key_value().filter(|_| table.len() == 1 && place.bits.is_none());
        let (order, size, number) = match said.map(|(order, number)| (order.as_str(), number)) {
            Some(("be16", number)) => (Order::Big, 2, number),
            Some(("be32", number)) => (Order::Big, 4, number),
            Some(("be64", number)) => (Order::Big, 8, number),
            Some(_) | None => return Err(self.wrong_kind(value)),
        };
        if self.size != Some(size) {
            let given = format!("a number of {size} bytes");
            return Err(Problem::Kind {
                given,
                wants: format!("one of {}", self.size.unwrap_or(0)),
                ty: self.ty.clone(),
            }
            .into());
        }
        let number = match number {
            Value::Int(number) => Number::new(*number),
            Value::Text(text) => Number::parse(text).ok_or_else(|| self.wrong_kind(value))?,
            Value::Float(_) | Value::Bool(_) | Value::List(_) | Value::Table(_) => return Err(self.wrong_kind(value)),
        };
        self.put_number(place, (sign, order), number, out)
    }

    fn put_number(
        &self,
        place: Place,
        (sign, order): (Sign, Order),
        number: Number,
        out: &mut [u8],
    ) -> Result<(), ValueError> {
        let width = place.width(self.size.unwrap_or(0));
        if let Some((least, most)) = number.outside(width, sign) {
            let ty = place.bits.map_or_else(|| self.ty.clone(), |bits| format!("{}:{bits}", self.ty));
            let [given, least, most] = [number, least, most].map(|number| number.to_string());
            return Err(Problem::Range { given, least, most, ty }.into());
        }
        match (order, place.bits) {
            (Order::Big, None) => {
                let bytes = number.to_bits().to_be_bytes();
                let size = (width / 8) as usize;
                self.room(place, size, out)?.copy_from_slice(&bytes[bytes.len() - size..]);
                Ok(())
            }
            (Order::Big, Some(_)) | (Order::Little, _) => self.put_bits(place, number.to_bits(), out),
        }
    }

    fn put_float(&self, place: Place, number: f64, out: &mut [u8]) -> Result<(), ValueError> {
        let bits = match self.size {
            Some(4) => u128::from((number as f32).to_bits()),
            Some(8) => u128::from(number.to_bits()),
            Some(_) | None => return Err(Problem::NotData { ty: self.ty.clone() }.into()),
        };
        self.put_bits(place, bits, out)
    }

    fn put_list(
        &self,
        place: Place,
        (element, count): (&Self, u32),
        list: &[Value],
        out: &mut [u8],
    ) -> Result<(), ValueError> {
        if list.len() > count as usize {
            return Err(self.length(list.len(), count, "elements").into());
        }
        for (index, value) in list.iter().enumerate() {
            let place = place.element(element.size.unwrap_or(0), index);
            element.put(place, value, out).map_err(|error| error.below(&format!("[{index}]")))?;
        }
        Ok(())
    }

    fn put_fields(
        &self,
        place: Place,
        fields: &[Part],
        table: &BTreeMap<String, Value>,
        out: &mut [u8],
    ) -> Result<(), ValueError> {
        for (name, value) in table {
            let Some(field) = fields.iter().find(|field| field.name == *name && !name.is_empty()) else {
                let near = nearest(name, fields.iter().map(|field| field.name.as_str()));
                return Err(Problem::Field { given: name.clone(), near, ty: self.ty.clone() }.into());
            };
            field.shape.put(place.field(field), value, out).map_err(|error| error.below(name))?;
        }
        Ok(())
    }

    fn put_bits(&self, place: Place, bits: u128, out: &mut [u8]) -> Result<(), ValueError> {
        let width = place.width(self.size.unwrap_or(0));
        match (place.bits, place.bytes((width / 8) as usize).and_then(|range| out.get_mut(range))) {
            (None, Some(room)) if room.len() <= 16 => {
                room.copy_from_slice(&bits.to_le_bytes()[..room.len()]);
                Ok(())
            }
            (None | Some(_), _) => write_bits(out, place.bit_offset, width, bits).ok_or_else(|| self.space(width / 8)),
        }
    }

    /// Returns the bytes that start at a place.
    fn room<'o>(&self, place: Place, count: usize, out: &'o mut [u8]) -> Result<&'o mut [u8], ValueError> {
        place.bytes(count).and_then(|range| out.get_mut(range)).ok_or_else(|| self.space(count as u32))
    }

    fn space(&self, needed: u32) -> ValueError {
        Problem::Space { needed: Some(needed), given: 0, ty: self.ty.clone() }.into()
    }

    fn length(&self, given: usize, allowed: u32, unit: &'static str) -> Problem {
        Problem::Length { given, allowed, unit, ty: self.ty.clone() }
    }

    fn wrong_kind(&self, value: &Value) -> ValueError {
        let wants = match &self.kind {
            Kind::Bool => "`true` or `false`".to_owned(),
            Kind::Int { .. } => self.rooms.wants("an integer"),
            Kind::Float => "a number".to_owned(),
            Kind::Enum { .. } => "one of its names or an integer".to_owned(),
            Kind::Bytes { is_text: true, .. } => "text or a list".to_owned(),
            Kind::Bytes { .. } => self.rooms.wants("a list, or text that starts with `hex:`"),
            Kind::List { .. } => self.rooms.wants("a list"),
            Kind::Fields { .. } => self.rooms.wants("a table of its fields"),
            Kind::Prefix { is_address: false, key } => return key.wrong_kind(value),
            Kind::Prefix { .. } => match self.size {
                Some(8) => "an IPv4 prefix, as in `10.0.0.0/8`".to_owned(),
                Some(_) | None => "an IPv6 prefix, as in `2001:db8::/32`".to_owned(),
            },
            Kind::Pointer | Kind::NotData | Kind::TooLarge => "nothing".to_owned(),
        };
        Problem::Kind { given: value.to_string(), wants, ty: self.ty.clone() }.into()
    }

    fn byte_name(&self) -> String {
        self.ty.split('[').next().unwrap_or_default().to_owned()
    }

    /// Bytes of text are signed, as `char` is.
    fn byte_sign(&self) -> Sign {
        if matches!(self.kind, Kind::Bytes { is_text: true, .. }) { Sign::Either } else { Sign::Unsigned }
    }
}

fn check_length(given: u32, most: u32) -> Result<(), ValueError> {
    if given <= most { Ok(()) } else { Err(Problem::PrefixLength { given, most }.into()) }
}

fn beyond(given: String, right: &[u8], length: u32) -> Problem {
    let right = address::text(right).unwrap_or_else(|| to_hex(right));
    Problem::Prefix { given, right: format!("{right}/{length}") }
}
