//! The 30 kernels of PolyBench/C 4.2.1, its dataset sizes and its element types.

use std::fmt;
use std::str::FromStr;

use measure_core::base::ids;

/// What every program's name begins with.
pub const PREFIX: &str = "poly_";

/// A kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel {
    /// Without prefix.
    pub name: &'static str,
    /// What it computes.
    pub what: &'static str,
    /// Its elements unless told otherwise.
    pub own_type: Element,
}

/// The type of an array's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// 64-bit floating point.
    Double,
    /// 32-bit floating point.
    Float,
    /// 32-bit integer.
    Int,
}

const fn kernel(name: &'static str, what: &'static str) -> Kernel {
    let own_type = Element::Double;
    Kernel {
        name,
        what,
        own_type,
    }
}

const fn typed(name: &'static str, own_type: Element, what: &'static str) -> Kernel {
    Kernel {
        name,
        what,
        own_type,
    }
}

/// Every kernel, in alphabetical order.
pub const KERNELS: [Kernel; 30] = [
    kernel("2mm", "two matrix products, D = alpha A B C + beta D"),
    kernel("3mm", "three matrix products, G = (A B) (C D)"),
    kernel("adi", "alternating direction implicit heat equation, 2D"),
    kernel("atax", "A transposed times A x"),
    kernel("bicg", "two products of the biconjugate gradient method"),
    kernel("cholesky", "Cholesky decomposition"),
    kernel("correlation", "correlation matrix of columns"),
    kernel("covariance", "covariance matrix of columns"),
    typed(
        "deriche",
        Element::Float,
        "recursive edge filter over an image",
    ),
    kernel("doitgen", "multi-resolution analysis, tensor times matrix"),
    kernel("durbin", "Toeplitz system by Levinson-Durbin recursion"),
    kernel("fdtd-2d", "finite-difference time-domain method, 2D"),
    typed(
        "floyd-warshall",
        Element::Int,
        "shortest paths between all pairs of nodes",
    ),
    kernel("gemm", "matrix product, C = alpha A B + beta C"),
    kernel("gemver", "vector products and rank-2 update of a matrix"),
    kernel("gesummv", "sum of two matrix-vector products"),
    kernel("gramschmidt", "QR decomposition by modified Gram-Schmidt"),
    kernel("heat-3d", "heat equation, 3D stencil"),
    kernel("jacobi-1d", "Jacobi stencil, 1D"),
    kernel("jacobi-2d", "Jacobi stencil, 2D"),
    kernel("lu", "LU decomposition without pivoting"),
    kernel("ludcmp", "LU decomposition and solution of a system"),
    kernel("mvt", "matrix-vector product and its transposed"),
    typed(
        "nussinov",
        Element::Int,
        "RNA folding by dynamic programming",
    ),
    kernel("seidel-2d", "Gauss-Seidel stencil, 2D"),
    kernel("symm", "symmetric matrix product"),
    kernel("syr2k", "symmetric rank-2k update"),
    kernel("syrk", "symmetric rank-k update"),
    kernel("trisolv", "triangular system by forward substitution"),
    kernel("trmm", "triangular matrix product"),
];

impl Kernel {
    /// The program's name for `dataset` and `element`: `poly_<kernel>[-<dataset>][-<type>]`, the suffixes of
    /// LARGE and of the kernel's own type left out.
    #[must_use]
    pub fn program(&self, dataset: Dataset, element: ElementChoice) -> String {
        let mut name = format!("{PREFIX}{}", self.name);
        if dataset != Dataset::Large {
            name += &format!("-{}", dataset.name());
        }
        match element.element_of(self) {
            element if element == self.own_type => name,
            element => name + "-" + element.name(),
        }
    }
}

/// A name that no kernel, dataset or type has, with what may have been meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnknownName(String);

/// The kernels that `text` names: `all`, or one with or without prefix.
///
/// # Errors
/// There is none; the nearest is suggested.
pub fn select(text: &str) -> Result<Vec<Kernel>, UnknownName> {
    if text == "all" {
        return Ok(KERNELS.to_vec());
    }
    let name = text.strip_prefix(PREFIX).unwrap_or(text);
    let found = KERNELS.into_iter().find(|kernel| kernel.name == name);
    found.map(|kernel| vec![kernel]).ok_or_else(|| {
        let mut known: Vec<String> = KERNELS.iter().map(|k| k.name.to_owned()).collect();
        known.push("all".to_owned());
        UnknownName(ids::unknown("kernel", name, &known))
    })
}

/// The kernel that the program `name` runs. Kernels' names hold hyphens too: the longest one that the program's name begins with.
pub(crate) fn kernel_of_program(name: &str) -> Option<Kernel> {
    let name = name.strip_prefix(PREFIX).unwrap_or(name);
    let begins = |kernel: &Kernel| {
        let rest = name.strip_prefix(kernel.name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    };
    let kernels = KERNELS.into_iter().filter(begins);
    kernels.max_by_key(|kernel| kernel.name.len())
}

/// The kernel, dataset and type whose program has the name `name`, `poly_` included.
pub(crate) fn parts_of_program(name: &str) -> Option<(Kernel, Dataset, ElementChoice)> {
    let kernel = kernel_of_program(name).filter(|_| name.starts_with(PREFIX))?;
    let of_dataset = |dataset| ElementChoice::ALL.map(move |element| (kernel, dataset, element));
    let mut all = Dataset::ALL.into_iter().flat_map(of_dataset);
    all.find(|(kernel, dataset, element)| kernel.program(*dataset, *element) == name)
}

impl Element {
    /// As in names and in raw output.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Double => "double",
            Self::Float => "float",
            Self::Int => "int",
        }
    }
}

/// A dataset size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dataset {
    /// Microseconds, for tests.
    Mini,
    /// Fits the first cache.
    Small,
    /// Fits the last cache.
    Medium,
    /// PolyBench's default.
    Large,
    /// Minutes a kernel.
    Extralarge,
}

impl Dataset {
    /// From the smallest to the largest.
    pub const ALL: [Self; 5] = [
        Self::Mini,
        Self::Small,
        Self::Medium,
        Self::Large,
        Self::Extralarge,
    ];

    /// As on the command line and in names.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Mini => "mini",
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
            Self::Extralarge => "extralarge",
        }
    }
}

impl fmt::Display for Dataset {
    /// As PolyBench writes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name().to_ascii_uppercase())
    }
}

impl FromStr for Dataset {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let lower = text.to_ascii_lowercase();
        let found = Self::ALL.into_iter().find(|d| d.name() == lower);
        let known = || Self::ALL.map(|d| d.name().to_owned());
        found.ok_or_else(|| UnknownName(ids::unknown("dataset", text, &known())))
    }
}

/// Which type the elements are to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ElementChoice {
    /// Each kernel's own.
    Default,
    /// 64-bit floating point throughout.
    Double,
    /// 32-bit floating point throughout.
    Float,
}

impl ElementChoice {
    const ALL: [Self; 3] = [Self::Default, Self::Double, Self::Float];

    /// As on the command line, and as the build takes it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Double => "double",
            Self::Float => "float",
        }
    }

    fn element_of(self, kernel: &Kernel) -> Element {
        match self {
            Self::Default => kernel.own_type,
            Self::Double => Element::Double,
            Self::Float => Element::Float,
        }
    }
}

impl FromStr for ElementChoice {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, UnknownName> {
        let found = Self::ALL.into_iter().find(|choice| choice.name() == text);
        let known = || Self::ALL.map(|choice| choice.name().to_owned());
        found.ok_or_else(|| UnknownName(ids::unknown("type", text, &known())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_programs_name_tells_its_parts() {
        for kernel in KERNELS {
            for dataset in Dataset::ALL {
                for element in ElementChoice::ALL {
                    let name = kernel.program(dataset, element);
                    let (found, size, kind) = parts_of_program(&name).expect("its own name");
                    assert_eq!((found.name, size), (kernel.name, dataset), "{name}");
                    // A type that is the kernel's own has no name.
                    assert_eq!(found.program(size, kind), name);
                }
            }
        }
        for none in [
            "3mm",
            "poly_",
            "poly_3mm-huge",
            "poly_3mm-small-half",
            "poly_x",
        ] {
            assert!(parts_of_program(none).is_none(), "{none}");
        }
    }

    #[test]
    fn programs_are_named_as_the_build_names_them() {
        let of = |name: &str, dataset, element| {
            select(name).expect("a kernel")[0].program(dataset, element)
        };
        let (large, small) = (Dataset::Large, Dataset::Small);
        for (name, dataset, element, program) in [
            ("3mm", large, ElementChoice::Default, "poly_3mm"),
            ("3mm", large, ElementChoice::Double, "poly_3mm"),
            (
                "poly_3mm",
                small,
                ElementChoice::Float,
                "poly_3mm-small-float",
            ),
            ("deriche", small, ElementChoice::Float, "poly_deriche-small"),
            (
                "deriche",
                large,
                ElementChoice::Double,
                "poly_deriche-double",
            ),
            (
                "nussinov",
                Dataset::Medium,
                ElementChoice::Default,
                "poly_nussinov-medium",
            ),
            (
                "nussinov",
                large,
                ElementChoice::Double,
                "poly_nussinov-double",
            ),
        ] {
            assert_eq!(of(name, dataset, element), program);
            let kernel = kernel_of_program(program).expect("a kernel's program");
            assert_eq!(kernel.name, name.trim_start_matches(PREFIX));
        }
    }

    #[test]
    fn names_are_suggested() {
        assert_eq!(select("all").expect("all").len(), 30);
        let error = select("poly_gem").expect_err("no such kernel");
        assert!(
            error.to_string().contains("did you mean `gemm`?"),
            "{error}"
        );
        assert!(select("").is_err());
        assert!(
            "medum"
                .parse::<Dataset>()
                .expect_err("no")
                .to_string()
                .contains("`medium`")
        );
        assert_eq!("LARGE".parse(), Ok(Dataset::Large));
        assert!("int".parse::<ElementChoice>().is_err());
    }

    #[test]
    fn kernels_are_in_order_and_once() {
        assert!(KERNELS.windows(2).all(|two| two[0].name < two[1].name));
    }
}
