//! A directed graph over indices: strongly connected groups and shortest cycles, without recursion, so that a chain of
//! thousands is harmless.

use std::collections::VecDeque;

/// Edges from each index to those it needs.
#[derive(Debug, Clone)]
pub(super) struct Graph {
    needs: Vec<Vec<usize>>,
}

impl Graph {
    pub(super) fn new(size: usize) -> Self {
        Self {
            needs: vec![Vec::new(); size],
        }
    }

    pub(super) fn add(&mut self, from: usize, to: usize) {
        self.needs[from].push(to);
    }

    /// Sorts the edges and drops repeated ones: results must not depend on the order of insertion.
    pub(super) fn settle(&mut self) {
        for edges in &mut self.needs {
            edges.sort_unstable();
            edges.dedup();
        }
    }

    /// How many each needs, and by whom each is needed.
    pub(super) fn reversed(&self) -> (Vec<usize>, Vec<Vec<usize>>) {
        let mut dependents = vec![Vec::new(); self.needs.len()];
        for (from, edges) in self.needs.iter().enumerate() {
            edges.iter().for_each(|to| dependents[*to].push(from));
        }
        (self.needs.iter().map(Vec::len).collect(), dependents)
    }

    /// For each index the number of its strongly connected group (Tarjan).
    pub(super) fn groups(&self) -> Vec<usize> {
        const UNSEEN: usize = usize::MAX;
        let size = self.needs.len();
        let (mut group, mut number, mut low) =
            (vec![UNSEEN; size], vec![UNSEEN; size], vec![0; size]);
        let (mut counter, mut groups) = (0, 0);
        let mut open = Vec::new();
        let mut walk: Vec<(usize, usize)> = Vec::new();
        for root in 0..size {
            if number[root] != UNSEEN {
                continue;
            }
            walk.push((root, 0));
            while let Some((at, next)) = walk.pop() {
                if next == 0 {
                    (number[at], low[at]) = (counter, counter);
                    counter += 1;
                    open.push(at);
                }
                if let Some(&to) = self.needs[at].get(next) {
                    walk.push((at, next + 1));
                    if number[to] == UNSEEN {
                        walk.push((to, 0));
                    } else if group[to] == UNSEEN {
                        low[at] = low[at].min(number[to]);
                    }
                    continue;
                }
                if low[at] == number[at] {
                    while let Some(member) = open.pop() {
                        group[member] = groups;
                        if member == at {
                            break;
                        }
                    }
                    groups += 1;
                }
                if let Some(&(parent, _)) = walk.last() {
                    low[parent] = low[parent].min(low[at]);
                }
            }
        }
        group
    }

    /// Groups of which each member stands on a cycle, ascending.
    pub(super) fn cyclic_groups(&self) -> Vec<Vec<usize>> {
        let group = self.groups();
        let mut members = vec![Vec::new(); group.iter().max().map_or(0, |last| last + 1)];
        group
            .iter()
            .enumerate()
            .for_each(|(at, group)| members[*group].push(at));
        members.retain(|members| {
            members.len() > 1 || members.iter().any(|at| self.needs[*at].contains(at))
        });
        members
    }

    /// The shortest cycle through the first of a cyclic group, that one first and last.
    pub(super) fn cycle_through_first(&self, group: &[usize]) -> Vec<usize> {
        let Some(&start) = group.first() else {
            return Vec::new();
        };
        let mut came_from: Vec<Option<usize>> = vec![None; self.needs.len()];
        let mut queue = VecDeque::from([start]);
        while let Some(at) = queue.pop_front() {
            for &to in &self.needs[at] {
                if to == start {
                    let mut path = vec![start];
                    let mut at = at;
                    while at != start {
                        path.push(at);
                        at = came_from[at].unwrap_or(start);
                    }
                    path.push(start);
                    path.reverse();
                    return path;
                }
                if came_from[to].is_none() && group.binary_search(&to).is_ok() {
                    came_from[to] = Some(at);
                    queue.push_back(to);
                }
            }
        }
        vec![start]
    }
}
