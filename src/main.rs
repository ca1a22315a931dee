//! The `onsale` program: everything is in [`cli`]; this file only names the allocator.

mod cli;

/// Many small allocations from several threads are what a request is made of; mimalloc's are the cheapest.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    onsale::files::keep_to_the_owner();
    cli::main()
}
