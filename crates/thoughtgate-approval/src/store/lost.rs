//! Failed writes, until the disk takes them: the latest changes of each approval, so that there are
//! never more of them than approvals.

use std::collections::BTreeMap;

use super::write::Write;
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
            // The call that brought the body was refused, so the body is not stored later.
            Write::Body(id, _) | Write::DropBody(id) => self.of(id).drop_body = true,
            Write::Remove(ids) => {
                for id in ids {
                    // Nothing follows a removal, since ids are random and not used again.
                    let removed = Change {
                        removed: true,
                        ..Change::default()
                    };
                    self.0.insert(id, removed);
                }
            }
        }
    }

    /// Takes out all failed writes, which must be written before anything else.
    pub(super) fn take(&mut self) -> Vec<Write> {
        let mut writes = Vec::new();
        for (id, change) in std::mem::take(&mut self.0) {
            if change.removed {
                writes.push(Write::Remove(vec![id]));
                continue;
            }
            // The order within an approval does not matter: all of it goes into one commit.
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
