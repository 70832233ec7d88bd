//! Pages of lists.

/// From where a list is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Its first row.
    First,
    /// Its last row, against its order.
    Last,
}

/// Which part of a list was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    /// From 1.
    pub number: i64,
    /// Rows a page, 1 to 5000.
    pub size: i64,
    /// Column and direction; the default is insertion order.
    pub order: Order,
}

/// Sort order.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    /// One of the list's `order_by` values.
    pub key: &'static str,
    /// Breaks ties before the guid does.
    pub then: Option<&'static str>,
    /// `-key`.
    pub descending: bool,
    /// False = the default order, which links omit.
    pub asked: bool,
}

impl Default for Order {
    /// Insertion order.
    fn default() -> Self {
        Self {
            key: "id",
            then: None,
            descending: false,
            asked: false,
        }
    }
}

impl Page {
    /// Whether the page is behind the last of `total` rows.
    pub(crate) fn starts_after(&self, total: i64) -> bool {
        self.window().start >= total
    }

    /// The range of its rows in the whole list, from 0.
    pub(crate) fn window(&self) -> std::ops::Range<i64> {
        let start = (self.number - 1).saturating_mul(self.size);
        start..start.saturating_add(self.size)
    }

    /// SQL for the order of the table `alias`, whose rows are listed, read from one end.
    pub(crate) fn order(&self, alias: &str, from: End) -> String {
        let direction = self.direction(from);
        let column = match self.order.key {
            // The default order is insertion order.
            "id" => "created_at",
            key => key,
        };
        let then = self.order.then.map_or(String::new(), |column| {
            format!("{alias}.{column} {direction}, ")
        });
        format!("order by {alias}.{column} {direction}, {then}{alias}.guid {direction}")
    }

    /// The same for tables that only grow at the end: their `id` orders rows as their time does,
    /// and each of their indexes ends with it.
    pub(crate) fn order_by_id(&self, alias: &str, from: End) -> String {
        let direction = self.direction(from);
        let column = match self.order.key {
            "id" | "created_at" | "updated_at" => String::new(),
            key => format!("{alias}.{key} {direction}, "),
        };
        format!("order by {column}{alias}.id {direction}")
    }

    /// The end of `total` rows that is nearer, and limit and offset from there.
    pub(crate) fn part(&self, total: i64) -> (End, [i64; 2]) {
        let window = self.window();
        let (start, end) = (window.start, window.end.min(total));
        let behind = total - end;
        if behind < start {
            (End::Last, [end - start, behind])
        } else {
            (End::First, [self.size, start])
        }
    }

    fn direction(&self, from: End) -> &'static str {
        if self.order.descending == (from == End::Last) {
            "asc"
        } else {
            "desc"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The positions of a page's rows when `part` is taken from one end of `total` rows.
    fn taken(page: &Page, total: i64) -> Vec<i64> {
        let (from, part) = page.part(total);
        let [limit, offset] = part.map(|n| usize::try_from(n).expect("a count"));
        assert!(
            2 * offset <= usize::try_from(total).expect("a total"),
            "{part:?} of {total}"
        );
        let places = 0..total;
        if from == End::Last {
            let mut found: Vec<i64> = places.rev().skip(offset).take(limit).collect();
            found.reverse();
            found
        } else {
            places.skip(offset).take(limit).collect()
        }
    }

    #[test]
    fn a_page_is_found_from_the_end_that_is_nearer() {
        for (size, total) in [(1, 1), (2, 5), (3, 9), (50, 49), (50, 101), (7, 100)] {
            let mut seen = Vec::new();
            for number in 1.. {
                let page = Page {
                    number,
                    size,
                    order: Order::default(),
                };
                if page.starts_after(total) {
                    break;
                }
                seen.extend(taken(&page, total));
            }
            assert_eq!(seen, (0..total).collect::<Vec<_>>(), "{size} of {total}");
        }
    }
}
