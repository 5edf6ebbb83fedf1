//! Writes that the disk did not take, until it does: the latest of each approval, so that there are
//! never more of them than approvals.

use std::collections::BTreeMap;

use super::Write;
use crate::ids::Id;
use crate::record::Record;

#[derive(Default)]
pub(super) struct Lost(BTreeMap<Id, Change>);

#[derive(Default)]
struct Change {
    removed: bool,
    record: Option<Box<Record>>,
    result: Option<Vec<u8>>,
    drop_body: bool,
}

impl Lost {
    pub(super) fn add(&mut self, write: Write) {
        match write {
            Write::Record(record) => {
                let id = record.id;
                self.of(id).record = Some(record);
            }
            Write::Result(id, result) => self.of(id).result = Some(result),
            // Whoever brought it was refused.
            Write::Body(id, _) | Write::DropBody(id) => self.of(id).drop_body = true,
            Write::Remove(ids) => {
                for id in ids {
                    let removed = Change {
                        removed: true,
                        ..Change::default()
                    };
                    self.0.insert(id, removed);
                }
            }
        }
    }

    /// What is to be written before anything else; nothing is left here.
    pub(super) fn take(&mut self) -> Vec<Write> {
        let mut writes = Vec::new();
        for (id, change) in std::mem::take(&mut self.0) {
            if change.removed {
                writes.push(Write::Remove(vec![id]));
                continue;
            }
            writes.extend(change.record.map(Write::Record));
            writes.extend(change.result.map(|result| Write::Result(id, result)));
            if change.drop_body {
                writes.push(Write::DropBody(id));
            }
        }
        writes
    }

    fn of(&mut self, id: Id) -> &mut Change {
        self.0.entry(id).or_default()
    }
}
