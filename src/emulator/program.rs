//! The kernels of one source, and kernels compiled from it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use crate::error::Result;

use super::compile::{Build, Emulator, Numerics};
use super::roots::Roots;
use super::symbolize;
use super::tokens::Source;
use super::translate::{Constant, Export, Parameter, Unit};

/// A source that has been read.
#[derive(Debug)]
pub struct Program<'e> {
    pub(super) emulator: &'e Emulator,
    name: String,
    roots: Roots,
    unit: Unit,
}

impl<'e> Program<'e> {
    pub(super) fn new(
        emulator: &'e Emulator,
        name: &str,
        text: String,
        roots: Roots,
    ) -> Result<Self> {
        let unit = Unit::read(Source::new(text, name)?)?;
        Ok(Program {
            emulator,
            name: name.to_string(),
            roots,
            unit,
        })
    }

    /// The kernels, in the order of the source.
    pub fn kernels(&self) -> &[Export] {
        self.unit.exports()
    }

    /// The function constants, in the order of the source.
    pub fn constants(&self) -> &[Constant] {
        self.unit.constants()
    }

    /// The parameters of a kernel.
    ///
    /// # Errors
    /// [`crate::Kind::Usage`] where there is no such kernel, with the nearest names.
    pub fn parameters(&self, kernel: &str) -> Result<&[Parameter]> {
        Ok(self.unit.parameters(self.unit.export(kernel)?))
    }

    /// The C++ of these kernels.
    ///
    /// # Errors
    /// As [`Self::parameters`].
    pub fn cpp(&self, kernels: &[&str]) -> Result<String> {
        self.unit.text(kernels)
    }

    /// Compiles a kernel, unless that has been done.
    ///
    /// # Errors
    /// As [`Self::parameters`]; [`crate::Kind::Gate`] with the .metal file's line where clang
    /// finds an error.
    pub fn kernel(&self, name: &str, build: Build, numerics: Numerics) -> Result<Kernel<'e>> {
        let export = self.unit.export(name)?;
        let text = self.unit.text(&[name])?;
        let from = (self.name.as_str(), &self.roots);
        let library = self.emulator.library(from, &text, build, numerics)?;
        Ok(Kernel {
            emulator: self.emulator,
            name: name.to_string(),
            place: export.place.clone(),
            library,
            build,
            numerics,
            parameters: self.unit.parameters(export).to_vec(),
            constants: self.unit.constants().to_vec(),
            roots: self.roots.clone(),
            blocks: OnceLock::new(),
            needed: OnceLock::new(),
        })
    }

    /// Has clang check these kernels, all together, without making code.
    ///
    /// # Errors
    /// As [`Self::kernel`].
    pub fn accepts(&self, kernels: &[&str], numerics: Numerics) -> Result<()> {
        let text = self.unit.text(kernels)?;
        let from = (self.name.as_str(), &self.roots);
        self.emulator.accepts(from, &text, numerics)
    }
}

/// A compiled kernel.
#[derive(Debug)]
pub struct Kernel<'e> {
    pub(super) emulator: &'e Emulator,
    /// Its name.
    pub name: String,
    /// `FILE:LINE` of its definition or instantiation.
    pub place: String,
    /// The shared library that it is in.
    pub library: PathBuf,
    /// How it was compiled.
    pub build: Build,
    /// What was chosen about arithmetic.
    pub numerics: Numerics,
    /// Its parameters, in order.
    pub parameters: Vec<Parameter>,
    /// The function constants of its source.
    pub constants: Vec<Constant>,
    pub(super) roots: Roots,
    blocks: OnceLock<BTreeMap<u64, u64>>,
    needed: OnceLock<Vec<usize>>,
}

impl Kernel<'_> {
    /// The function constants without which it can't be launched: those that its code reads,
    /// but for those of which the source asks whether they are set.
    pub fn needed_constants(&self) -> Vec<&Constant> {
        let needed = self.needed.get_or_init(|| {
            let all = self.constants.iter().enumerate();
            let not_optional = all.filter(|(_, constant)| !constant.optional);
            let numbers: Vec<usize> = not_optional.map(|(number, _)| number).collect();
            let symbols: Vec<String> = numbers.iter().map(|n| Constant::symbol(*n)).collect();
            let there = symbolize::has_symbols(&self.library, &symbols);
            let read = numbers.into_iter().zip(there).filter(|(_, there)| *there);
            read.map(|(number, _)| number).collect()
        });
        needed
            .iter()
            .map(|number| &self.constants[*number])
            .collect()
    }

    /// The floating-point operations of each block of instructions.
    pub(super) fn blocks(&self) -> &BTreeMap<u64, u64> {
        self.blocks.get_or_init(|| symbolize::blocks(&self.library))
    }
}
