//! Places for a picture: boxes in three columns, ordered so that few lines cross, and lines in the gaps between them.
//!
//! The order comes from barycentres (K. Sugiyama, S. Tagawa, M. Toda, 1981) and then from changing neighbours while that
//! helps; the heights are those of the least sum of squared distances that keeps the order (isotonic regression).
//! A line that goes past the middle column has a lane there, so that none runs through a box.

use super::model::{Column, Edge, End, Node, Picture};
use super::shortened;
use std::collections::BTreeMap;
use unicode_width::UnicodeWidthStr;

/// Pixels for a column of text, for each of its pixels in height: the widest of the usual monospaced fonts has 0.602.
const ADVANCE: f64 = 0.61;

/// Height of the letters of an address and of a title.
const NAME_SIZE: f64 = 13.0;

/// Height of all other letters.
pub const TEXT_SIZE: f64 = 11.0;

/// Columns of text that a name may have; longer ones lose their middle.
const NAME_COLUMNS: usize = 36;

/// Columns of smaller text that may stand below it.
const TEXT_COLUMNS: usize = 48;

/// Width of the part of a box that has the marker.
pub const BADGE: f64 = 36.0;

/// Between a frame and what is in it.
pub const PADDING: f64 = 10.0;

/// Height of a box without rows.
pub const HEAD: f64 = 42.0;

/// Height of a row.
const ROW: f64 = 18.0;

/// Height of the title of a group; with a second line more.
const TITLE: f64 = 26.0;

/// Between two boxes, one below the other.
const BELOW: f64 = 14.0;

/// Height that a line has on its way past the middle column.
const LANE: f64 = 10.0;

/// How far below the others lines end that come back from maps to programs.
const COMES_BACK: f64 = 9.0;

/// Around everything.
pub const MARGIN: f64 = 28.0;

/// Above the columns: a title and what it is a picture of.
const TOP: f64 = 100.0;

/// Room for lines on the right of the maps, that go from one to another.
const SIDE: f64 = 72.0;

/// More boxes than these are not tried one by one in other places.
const TRIED: usize = 300;

/// How far from its place a thing is tried.
const FAR: usize = 12;

/// A rectangle, in pixels from the upper left corner.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rect {
    /// Left side.
    pub x: f64,
    /// Upper side.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

/// Places for all of a picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// Everything, without the legend.
    pub size: (f64, f64),
    /// Each column: its left side and its width; 0 for one without boxes.
    pub columns: [(f64, f64); 3],
    /// By the number of the group.
    pub groups: Vec<Rect>,
    /// By the number of the box.
    pub boxes: Vec<Rect>,
    /// By the number of the box: the places of its rows, from the top.
    pub rows: Vec<Vec<usize>>,
    /// By the number of the line.
    pub curves: Vec<Curve>,
}

/// A line: cubic Bézier curves, each of which starts where the one before ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// The points: a start, then two control points and an end for each piece.
    pub points: Vec<(f64, f64)>,
}

/// Returns the width of text in a monospaced font of a size.
pub fn text_width(text: &str, size: f64) -> f64 {
    text.width() as f64 * size * ADVANCE
}

/// Returns an address as it is written in a box.
pub fn name_text(text: &str) -> String {
    shortened(text, NAME_COLUMNS)
}

/// Returns other text of a box, or below a title, as it is written.
pub fn small_text(text: &str) -> String {
    shortened(text, TEXT_COLUMNS)
}

/// Finds a place for everything.
pub fn layout(picture: &Picture) -> Layout {
    let mut order = Order::of(picture);
    order.untangle();
    order.settle();
    order.draw()
}

/// Something in a column that keeps its height: a group with its boxes, a box alone, or the lane of a line.
#[derive(Debug, Clone)]
struct Item {
    group: Option<usize>,
    boxes: Vec<usize>,
    lane: Option<usize>,
    y: f64,
}

/// Everything in its columns, from top to bottom.
struct Order<'a> {
    picture: &'a Picture,
    columns: [Vec<Item>; 3],
    /// Upper sides, by the number of the box.
    boxes: Vec<f64>,
    /// The places of the rows of each box, from the top.
    rows: Vec<Vec<usize>>,
    /// Heights of the lanes, by the number of the line.
    lanes: BTreeMap<usize, f64>,
}

impl<'a> Order<'a> {
    fn of(picture: &'a Picture) -> Self {
        let columns = Column::ALL.map(|column| items(picture, column));
        let rows = picture.boxes.iter().map(|node| (0..node.rows.len()).collect()).collect();
        let boxes = vec![0.0; picture.boxes.len()];
        let mut order = Self { picture, columns, boxes, rows, lanes: BTreeMap::new() };
        (0..3).for_each(|column| order.stack(column));
        order
    }

    /// Orders every column by where the lines of each thing lead, again and again, and keeps the best.
    fn untangle(&mut self) {
        let mut best = (self.cost(), self.columns.clone());
        for round in 0..16 {
            let columns = if round % 2 == 0 { [1, 2, 1, 0] } else { [1, 0, 1, 2] };
            columns.into_iter().for_each(|column| self.sort(column));
            let cost = self.cost();
            if cost < best.0 {
                best = (cost, self.columns.clone());
            }
        }
        self.columns = best.1;
        (0..3).for_each(|column| self.stack(column));
        for _ in 0..2 {
            self.sort_rows();
            if self.picture.boxes.len() <= TRIED {
                self.try_places();
            }
        }
        self.sort_rows();
    }

    /// Orders the rows of maps that say what objects call them, by where their lines come from.
    fn sort_rows(&mut self) {
        let mut pulls = BTreeMap::<(usize, usize), (f64, u32)>::new();
        for edge in &self.picture.edges {
            if let Some(row) = edge.to.row {
                let (sum, lines) = pulls.entry((edge.to.node, row)).or_default();
                *sum += self.boxes[edge.from.node];
                *lines += 1;
            }
        }
        for (number, node) in self.picture.boxes.iter().enumerate() {
            let at =
                |row: usize| pulls.get(&(number, row)).map_or(f64::INFINITY, |(sum, lines)| sum / f64::from(*lines));
            let mut sorted: Vec<_> = (0..node.symbols).collect();
            sorted.sort_by(|a, b| at(*a).total_cmp(&at(*b)));
            for (place, row) in sorted.into_iter().enumerate() {
                self.rows[number][row] = place;
            }
        }
    }

    fn sort(&mut self, column: usize) {
        let pulls = self.pulls(column);
        let mean = |numbers: &[usize], own: f64| {
            let pulled = numbers.iter().filter_map(|number| pulls.get(&Thing::Box(*number)));
            let (sum, count) = pulled.fold((0.0, 0), |(sum, count), (y, lines)| (sum + y, count + lines));
            if count == 0 { own } else { sum / f64::from(count) }
        };
        let mut items = std::mem::take(&mut self.columns[column]);
        for item in &mut items {
            item.boxes.sort_by(|a, b| mean(&[*a], self.boxes[*a]).total_cmp(&mean(&[*b], self.boxes[*b])));
        }
        let at = |item: &Item| match item.lane {
            Some(lane) => pulls.get(&Thing::Lane(lane)).map_or(item.y, |(y, lines)| y / f64::from(*lines)),
            None => mean(&item.boxes, item.y),
        };
        items.sort_by(|a, b| at(a).total_cmp(&at(b)));
        self.columns[column] = items;
        self.stack(column);
    }

    /// Tries each thing in other places of its column, and leaves it in the best one.
    fn try_places(&mut self) {
        let mut best = self.cost();
        for _ in 0..6 {
            let before = best;
            for column in 0..3 {
                let groups = self.columns[column].len();
                best = self.try_all(column, groups, best, moved);
                for item in 0..groups {
                    let boxes = self.columns[column][item].boxes.len();
                    best = self.try_all(column, boxes, best, |items, from, to| moved(&mut items[item].boxes, from, to));
                }
            }
            if best == before {
                break;
            }
        }
    }

    /// Moves each of so many things to where the picture is best, not farther than [`FAR`], and returns its cost then.
    fn try_all(
        &mut self,
        column: usize,
        number: usize,
        mut best: (u64, u64),
        change: impl Fn(&mut [Item], usize, usize),
    ) -> (u64, u64) {
        for from in 0..number {
            let mut at = from;
            for to in from.saturating_sub(FAR)..number.min(from + FAR + 1) {
                if to == at {
                    continue;
                }
                change(&mut self.columns[column], at, to);
                self.stack(column);
                let cost = self.cost();
                if cost < best {
                    (best, at) = (cost, to);
                } else {
                    change(&mut self.columns[column], to, at);
                    self.stack(column);
                }
            }
        }
        best
    }

    /// Counts the crossings, and the pixels that lines go up or down.
    fn cost(&self) -> (u64, u64) {
        let mut gaps = [Vec::new(), Vec::new()];
        let mut length = 0.0;
        for (number, edge) in self.picture.edges.iter().enumerate() {
            let spans = self.spans(number, edge);
            if spans.is_empty() {
                let [from, to] = self.ends(edge);
                length += (from - to).abs();
            }
            for (gap, left, right) in spans {
                gaps[gap].push((left, right));
                length += (left - right).abs();
            }
        }
        (gaps.into_iter().map(crossings).sum(), length as u64)
    }

    /// Returns how a line goes through the gaps between columns: which one, and its heights on both sides.
    fn spans(&self, number: usize, edge: &Edge) -> Vec<(usize, f64, f64)> {
        let [from_y, to_y] = self.ends(edge);
        let [from, to] = [(self.column(edge.from), from_y), (self.column(edge.to), to_y)];
        let [(left, left_y), (right, right_y)] = if from.0 <= to.0 { [from, to] } else { [to, from] };
        match (left, right, self.lanes.get(&number)) {
            (0, 2, Some(&lane)) => vec![(0, left_y, lane), (1, lane, right_y)],
            (left, right, _) if left != right => vec![(left, left_y, right_y)],
            _ => Vec::new(),
        }
    }

    /// Sums, for each thing of a column, the heights at which its lines end elsewhere, and counts the lines.
    ///
    /// They are measured from the middle of each thing, as if its lines started there.
    fn pulls(&self, column: usize) -> BTreeMap<Thing, (f64, u32)> {
        let mut pulls = BTreeMap::new();
        let mut pull = |thing, y: f64| {
            let (sum, lines) = pulls.entry(thing).or_insert((0.0, 0u32));
            *sum += y;
            *lines += 1;
        };
        for (number, edge) in self.picture.edges.iter().enumerate() {
            let lane = self.lanes.get(&number).copied();
            let [from_y, to_y] = self.ends(edge);
            for (end, y, other, other_y) in [(edge.from, from_y, edge.to, to_y), (edge.to, to_y, edge.from, from_y)] {
                if lane.is_some() && column == 1 {
                    pull(Thing::Lane(number), other_y);
                } else if self.column(end) == column && self.column(other) != column {
                    let middle = self.boxes[end.node] + height(&self.picture.boxes[end.node]) / 2.0;
                    pull(Thing::Box(end.node), lane.unwrap_or(other_y) - y + middle);
                }
            }
        }
        pulls
    }

    fn column(&self, end: End) -> usize {
        self.picture.boxes[end.node].column as usize
    }

    /// Returns the heights at which a line starts and ends.
    fn ends(&self, edge: &Edge) -> [f64; 2] {
        // What comes back from a map ends below where the lines to maps start.
        let back = if self.column(edge.from) > self.column(edge.to) { COMES_BACK } else { 0.0 };
        [self.y(edge.from), self.y(edge.to) + back]
    }

    fn y(&self, end: End) -> f64 {
        let below = match end.row {
            None => HEAD / 2.0,
            Some(row) => row_middle(self.rows[end.node][row]),
        };
        self.boxes[end.node] + below
    }

    /// Puts the things of a column one below the other, without a gap, around the middle.
    fn stack(&mut self, column: usize) {
        let items = &self.columns[column];
        let heights: Vec<_> = items.iter().map(|item| self.height(item)).collect();
        let mut y = -heights.iter().map(|height| height + BELOW).sum::<f64>() / 2.0;
        for (at, height) in heights.into_iter().enumerate() {
            self.place(column, at, y);
            y += height + BELOW;
        }
    }

    fn place(&mut self, column: usize, at: usize, y: f64) {
        let item = &mut self.columns[column][at];
        item.y = y;
        if let Some(lane) = item.lane {
            self.lanes.insert(lane, y + LANE / 2.0);
        }
        let mut y = y + item.group.map_or(0.0, |group| title_height(self.picture, group));
        for &number in &item.boxes {
            self.boxes[number] = y;
            y += height(&self.picture.boxes[number]) + BELOW;
        }
    }

    fn height(&self, item: &Item) -> f64 {
        let boxes: f64 = item.boxes.iter().map(|number| height(&self.picture.boxes[*number]) + BELOW).sum();
        match (item.lane, item.group) {
            (Some(_), _) => LANE,
            (None, Some(group)) => title_height(self.picture, group) + boxes - BELOW + PADDING,
            (None, None) => boxes - BELOW,
        }
    }

    /// Moves the things of each column, which keep their order, to where their lines are short.
    fn settle(&mut self) {
        for column in [2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0] {
            self.settle_column(column);
        }
    }

    fn settle_column(&mut self, column: usize) {
        let pulls = self.pulls(column);
        let mut below = 0.0;
        let mut wishes = Vec::new();
        for item in &self.columns[column] {
            let (mut sum, mut lines) = (0.0, 0);
            let middle = |number: usize| self.boxes[number] + height(&self.picture.boxes[number]) / 2.0;
            for &number in &item.boxes {
                if let Some((y, pulling)) = pulls.get(&Thing::Box(number)) {
                    sum += y - f64::from(*pulling) * (middle(number) - item.y);
                    lines += pulling;
                }
            }
            if let Some((y, pulling)) = item.lane.and_then(|lane| pulls.get(&Thing::Lane(lane))) {
                sum += y - f64::from(*pulling) * LANE / 2.0;
                lines += pulling;
            }
            let wish = if lines == 0 { (item.y, 0.01) } else { (sum / f64::from(lines), f64::from(lines)) };
            wishes.push((wish.0 - below, wish.1));
            below += self.height(item) + BELOW;
        }
        let mut y = 0.0;
        for (at, place) in rising(&wishes).into_iter().enumerate() {
            self.place(column, at, place + y);
            y += self.height(&self.columns[column][at]) + BELOW;
        }
    }

    fn draw(mut self) -> Layout {
        let tops = self.columns.iter().flatten().map(|item| item.y);
        let shift = TOP - tops.fold(f64::INFINITY, f64::min);
        for column in 0..3 {
            for at in 0..self.columns[column].len() {
                self.place(column, at, (self.columns[column][at].y + shift).round());
            }
        }
        let columns = self.column_places();
        let mut groups = vec![Rect::default(); self.picture.groups.len()];
        let mut boxes = vec![Rect::default(); self.picture.boxes.len()];
        let mut bottom = TOP;
        for (column, (x, width)) in columns.iter().copied().enumerate() {
            for item in &self.columns[column] {
                let whole = Rect { x, y: item.y, width, height: self.height(item) };
                bottom = bottom.max(whole.y + whole.height);
                item.group.into_iter().for_each(|group| groups[group] = whole);
                let inset = if has_groups(self.picture, column) { PADDING } else { 0.0 };
                for &number in &item.boxes {
                    let height = height(&self.picture.boxes[number]);
                    boxes[number] = Rect { x: x + inset, y: self.boxes[number], width: width - 2.0 * inset, height };
                }
            }
        }
        let curves = self.curves(&boxes, &columns);
        let right = columns.iter().map(|(x, width)| x + width).fold(0.0, f64::max);
        let side = if self.has_beside(2) { SIDE } else { 0.0 };
        Layout { size: (right + side + MARGIN, bottom + MARGIN), columns, groups, boxes, rows: self.rows, curves }
    }

    /// Returns the left side and the width of each column: as wide as its text, with gaps as wide as their lines need.
    fn column_places(&self) -> [(f64, f64); 3] {
        let mut gaps = [0usize; 2];
        for (number, edge) in self.picture.edges.iter().enumerate() {
            self.spans(number, edge).into_iter().for_each(|(gap, ..)| gaps[gap] += 1);
        }
        let mut x = MARGIN;
        [0, 1, 2].map(|column| {
            let width = column_width(self.picture, column);
            if column == 1 && x == MARGIN && self.has_beside(1) {
                x += SIDE;
            }
            let place = (x, width);
            let gap = gaps.get(column).map_or(0.0, |lines| (90.0 + 4.0 * *lines as f64).min(400.0));
            x += if width > 0.0 { width + gap } else { 0.0 };
            place
        })
    }

    /// Returns whether a line goes from one thing of a column to another.
    fn has_beside(&self, column: usize) -> bool {
        let here = |edge: &Edge| self.column(edge.from) == column && self.column(edge.to) == column;
        self.picture.edges.iter().any(here)
    }

    fn curves(&self, boxes: &[Rect], columns: &[(f64, f64); 3]) -> Vec<Curve> {
        let edges = self.picture.edges.iter().enumerate();
        let curve = |(number, edge): (usize, &Edge)| {
            let [from_y, to_y] = self.ends(edge);
            let [from, to] = [(edge.from, from_y), (edge.to, to_y)];
            let [from, to] = [from, to].map(|(end, y)| (self.column(end), boxes[end.node], y));
            let forward = from.0 < to.0;
            let [start, end] = [(from, forward), (to, !forward)].map(|((column, rect, y), right)| {
                // Maps have the room for lines between two of them on the right, programs on the left.
                let is_right = if from.0 == to.0 { column == 2 } else { right };
                (if is_right { rect.x + rect.width } else { rect.x }, y)
            });
            match self.lanes.get(&number) {
                Some(&lane) => past(start, end, columns[1], lane),
                None if from.0 == to.0 => around(start, end, if from.0 == 2 { 1.0 } else { -1.0 }),
                None => across(start, end),
            }
        };
        edges.map(curve).collect()
    }
}

/// Moves something in a list from one place to another.
fn moved<T>(list: &mut [T], from: usize, to: usize) {
    if from < to {
        list[from..=to].rotate_left(1);
    } else {
        list[to..=from].rotate_right(1);
    }
}

/// What a line pulls at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Thing {
    Box(usize),
    Lane(usize),
}

fn items(picture: &Picture, column: Column) -> Vec<Item> {
    let mut items: Vec<Item> = Vec::new();
    let boxes = picture.boxes.iter().enumerate().filter(|(_, node)| node.column == column);
    for (number, node) in boxes {
        let known = items.iter_mut().find(|item| item.group.is_some() && item.group == node.group);
        match known {
            Some(item) => item.boxes.push(number),
            None => items.push(Item { group: node.group, boxes: vec![number], lane: None, y: 0.0 }),
        }
    }
    if column == Column::Programs {
        let is_past = |edge: &Edge| {
            let columns = [edge.from, edge.to].map(|end| picture.boxes[end.node].column);
            columns.contains(&Column::Links) && columns.contains(&Column::Maps)
        };
        let past = picture.edges.iter().enumerate().filter(|(_, edge)| is_past(edge));
        items.extend(past.map(|(number, _)| Item { group: None, boxes: Vec::new(), lane: Some(number), y: 0.0 }));
    }
    items
}

/// Returns the height of a box.
fn height(node: &Node) -> f64 {
    match node.rows.len() {
        0 => HEAD,
        rows => HEAD + rows as f64 * ROW + 6.0,
    }
}

/// Returns the middle of the row at a place, below the upper side of its box.
pub fn row_middle(place: usize) -> f64 {
    HEAD + (place as f64 + 0.5) * ROW
}

fn title_height(picture: &Picture, group: usize) -> f64 {
    if picture.groups[group].detail.is_empty() { TITLE + 4.0 } else { TITLE + 18.0 }
}

fn has_groups(picture: &Picture, column: usize) -> bool {
    picture.groups.iter().any(|group| group.column as usize == column)
}

/// Returns the width that the text of a column needs; 0 for a column without boxes.
fn column_width(picture: &Picture, column: usize) -> f64 {
    let boxes = picture.boxes.iter().filter(|node| node.column as usize == column);
    let inside = boxes.map(|node| {
        let small = node.rows.iter().chain([&node.kind]).map(|text| text_width(&small_text(text), TEXT_SIZE));
        let text = small.fold(text_width(&name_text(&node.address), NAME_SIZE), f64::max);
        BADGE + PADDING + text + PADDING
    });
    let inside = inside.fold(0.0, f64::max);
    let groups = picture.groups.iter().filter(|group| group.column as usize == column);
    let titles = groups.map(|group| {
        let [title, detail] = [(name_text(&group.title), NAME_SIZE), (small_text(&group.detail), TEXT_SIZE)]
            .map(|(text, size)| text_width(&text, size));
        title.max(detail)
    });
    let inset = if has_groups(picture, column) { PADDING } else { 0.0 };
    let heading = text_width(Column::ALL[column].heading(), TEXT_SIZE);
    match inside > 0.0 {
        true => titles.fold(inside.max(heading), f64::max).ceil() + 2.0 * inset,
        false => 0.0,
    }
}

/// Counts how many lines of a gap cross: pairs that are in one order on the left and in the other on the right.
fn crossings(mut lines: Vec<(f64, f64)>) -> u64 {
    lines.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut ranks: Vec<_> = lines.iter().map(|line| line.1).collect();
    ranks.sort_by(f64::total_cmp);
    ranks.dedup();
    // Fenwick's tree: how many of the lines so far end at a rank or above it.
    let mut tree = vec![0u64; ranks.len() + 1];
    let mut found = 0;
    for (seen, (_, right)) in lines.iter().enumerate() {
        let rank = ranks.partition_point(|known| known < right) + 1;
        let mut at = rank;
        let mut up_to = 0;
        while at > 0 {
            up_to += tree[at];
            at &= at - 1;
        }
        found += seen as u64 - up_to;
        at = rank;
        while at < tree.len() {
            tree[at] += 1;
            at += at & at.wrapping_neg();
        }
    }
    found
}

/// Returns the rising numbers that are closest to the wished ones, by the sum of their weighted squared distances
/// (pool adjacent violators).
fn rising(wishes: &[(f64, f64)]) -> Vec<f64> {
    let mut pools: Vec<(f64, f64, usize)> = Vec::new();
    for &(wish, weight) in wishes {
        let mut pool = (wish, weight, 1);
        while let Some(&(before, its_weight, count)) = pools.last()
            && before > pool.0
        {
            pools.pop();
            let weight = its_weight + pool.1;
            pool = ((before * its_weight + pool.0 * pool.1) / weight, weight, count + pool.2);
        }
        pools.push(pool);
    }
    pools.into_iter().flat_map(|(y, _, count)| std::iter::repeat_n(y, count)).collect()
}

/// A line through one gap.
fn across(start: (f64, f64), end: (f64, f64)) -> Curve {
    let bend = (end.0 - start.0) / 2.0;
    Curve { points: vec![start, (start.0 + bend, start.1), (end.0 - bend, end.1), end] }
}

/// A line past the middle column.
fn past(start: (f64, f64), end: (f64, f64), (x, width): (f64, f64), lane: f64) -> Curve {
    let [near, far] = if start.0 < end.0 { [x, x + width] } else { [x + width, x] };
    let mut points = across(start, (near, lane)).points;
    let third = (far - near) / 3.0;
    points.extend([(near + third, lane), (far - third, lane), (far, lane)]);
    points.extend(across((far, lane), end).points.split_off(1));
    Curve { points }
}

/// A line that leaves a column and comes back to it; `side` is 1 for the right of it, and -1 for the left.
fn around(start: (f64, f64), end: (f64, f64), side: f64) -> Curve {
    // The farther the ends, the wider; and never farther out than three quarters of the room there. No function of libm
    // does it: every run of the tool would load that.
    let apart = (end.1 - start.1).abs();
    let reach = side * SIDE * (0.35 + 0.55 * apart / (apart + 300.0));
    Curve { points: vec![start, (start.0 + reach, start.1), (end.0 + reach, end.1), end] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_cross_when_their_ends_are_in_another_order() {
        for (lines, expected) in [
            (vec![], 0),
            (vec![(0.0, 0.0), (1.0, 1.0)], 0),
            (vec![(0.0, 1.0), (1.0, 0.0)], 1),
            // What starts or ends at one point does not cross.
            (vec![(0.0, 1.0), (0.0, 0.0)], 0),
            (vec![(0.0, 1.0), (1.0, 1.0)], 0),
            (vec![(0.0, 2.0), (1.0, 1.0), (2.0, 0.0)], 3),
        ] {
            assert_eq!(crossings(lines.clone()), expected, "{lines:?}");
        }
    }

    #[test]
    fn wishes_are_met_as_far_as_they_rise() {
        for (wishes, expected) in [
            (vec![], vec![]),
            (vec![(1.0, 1.0), (2.0, 1.0)], vec![1.0, 2.0]),
            (vec![(2.0, 1.0), (1.0, 1.0)], vec![1.5, 1.5]),
            (vec![(2.0, 3.0), (1.0, 1.0), (5.0, 1.0)], vec![1.75, 1.75, 5.0]),
            (vec![(3.0, 1.0), (2.0, 1.0), (1.0, 1.0)], vec![2.0, 2.0, 2.0]),
        ] {
            assert_eq!(rising(&wishes), expected, "{wishes:?}");
        }
    }
}
