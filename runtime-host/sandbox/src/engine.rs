//! Engines whose instances come from a pool.

use anyhow::Result;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// The size of an engine's pool. Totals follow from [`PoolSize::instances`]; the other numbers bound one instance.
#[derive(Debug, Clone, Copy)]
pub struct PoolSize {
    /// Component instances at once.
    pub instances: u32,
    /// Core instances of an average component instance; composed components have several.
    pub core_instances_average: u32,
    /// Stacks of an average component instance: fibers that its calls run on. 0 for an engine of synchronous calls.
    pub stacks_average: u32,
    /// Core instances of one component.
    pub core_instances_max: u32,
    /// Linear memories of one component.
    pub memories_max: u32,
    /// Tables of one component.
    pub tables_max: u32,
    /// Bytes of one linear memory.
    pub memory_bytes_max: usize,
    /// Elements of one table.
    pub table_elements_max: usize,
    /// Bytes of an instance's own structures.
    pub instance_bytes_max: usize,
    /// Bytes of a memory that stay resident in a free place of the pool.
    pub memory_kept_bytes: usize,
    /// Bytes of a table that stay resident in a free place of the pool.
    pub table_kept_bytes: usize,
}

impl PoolSize {
    fn config(&self) -> PoolingAllocationConfig {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(self.instances)
            .total_core_instances(self.instances * self.core_instances_average)
            .total_memories(self.instances * 2)
            .total_tables(self.instances * 4)
            .max_component_instance_size(self.instance_bytes_max)
            .max_core_instance_size(self.instance_bytes_max)
            .max_core_instances_per_component(self.core_instances_max)
            .max_memories_per_component(self.memories_max)
            .max_tables_per_component(self.tables_max)
            // A module's own count together with the rest of its component, against the same limits.
            .max_memories_per_module(self.memories_max)
            .max_tables_per_module(self.tables_max)
            .max_memory_size(self.memory_bytes_max)
            .table_elements(self.table_elements_max)
            .linear_memory_keep_resident(self.memory_kept_bytes)
            .table_keep_resident(self.table_kept_bytes)
            // From Linux 6.7 on the kernel tells which pages were written, and only those are reset: a fifth of a fresh
            // request's cost.
            .pagemap_scan(Enabled::Auto);
        if self.stacks_average > 0 {
            pool.total_stacks(self.instances * self.stacks_average);
        }
        pool
    }
}

/// An engine with a pool of instances. Where the machine limits virtual memory so that there is no room for the pool,
/// instances are allocated one by one, which is slower; `name` appears in that warning.
///
/// # Errors
/// The machine lacks what `config` needs.
pub fn pooled_engine(mut config: Config, size: &PoolSize, name: &str) -> Result<Engine> {
    config.allocation_strategy(size.config());
    Engine::new(&config).or_else(|error| {
        tracing::warn!(
            "no pool of {name} instances ({error:#}); instances are allocated one by one"
        );
        config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
        Ok(Engine::new(&config)?)
    })
}
