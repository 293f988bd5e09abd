package library

import (
	"fmt"
	"slices"
)

// Version is the release of ONNX Runtime that the table holds.
const Version = "1.27.0"

// Client is a package registry's own program.
type Client string

// The clients that fetch libraries.
const (
	NPM Client = "npm"
	PIP Client = "pip"
)

// Kind is what a build of ONNX Runtime can work on beside the CPU.
type Kind string

// The kinds of builds.
const (
	Plain  Kind = "cpu"
	WebGPU Kind = "webgpu"
	CUDA   Kind = "cuda"
)

// Build is one set of files that make ONNX Runtime work on a kind of machine.
// The library itself is the last file: when it is there, all are.
type Build struct {
	OS, Arch string
	Kind     Kind
	Files    []File
	Proven   bool // the model has run on it and gave the golden scores
}

// File is one file of a package in a registry.
type File struct {
	Client    Client
	Package   string // name and version as the client wants them
	Platforms []string
	Member    string // path in the package's archive
	SHA256    string
	Bytes     int64
}

// Library is the file to load.
func (b Build) Library() File { return b.Files[len(b.Files)-1] }

// Name is the build's folder in the cache.
func (b Build) Name() string { return fmt.Sprintf("%s-%s-%s", b.OS, b.Arch, b.Kind) }

var (
	linuxAMD64 = []string{"manylinux_2_27_x86_64", "manylinux_2_28_x86_64"}
	linuxARM64 = []string{"manylinux_2_27_aarch64", "manylinux_2_28_aarch64"}
	darwinARM  = []string{"macosx_14_0_arm64"}
	nvidia     = []string{"manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "manylinux2010_x86_64"}
)

// Builds is the table. The wheels are a fifth of the size of the npm package,
// which holds five platforms; for x86-64 and the Mac only the npm package's
// library has WebGPU in it. The CUDA set is the one that other projects ship for
// CUDA 13.0: it wants driver 580 or newer.
func Builds() []Build {
	return slices.Concat(cpuBuilds(), []Build{cudaBuild()})
}

func cpuBuilds() []Build {
	npm := func(member, sum string, bytes int64) []File {
		return []File{{
			Client: NPM, Package: "onnxruntime-node@" + Version, Member: "package/bin/napi-v6/" + member, SHA256: sum, Bytes: bytes,
		}}
	}
	pip := func(platforms []string, file, sum string, bytes int64) []File {
		return []File{{
			Client: PIP, Package: "onnxruntime==" + Version, Platforms: platforms, Member: "onnxruntime/capi/" + file, SHA256: sum, Bytes: bytes,
		}}
	}
	return []Build{
		{OS: "linux", Arch: "amd64", Kind: Plain, Proven: true, Files: pip(linuxAMD64, "libonnxruntime.so.1.27.0",
			"b5c9d4f124d24707f514dad926dc181820807178855df1c528e3addb2dd0e6f7", 23658512)},
		{OS: "linux", Arch: "amd64", Kind: WebGPU, Proven: true, Files: npm("linux/x64/libonnxruntime.so.1",
			"d8aff4aa8abee8fb2abb2f2f2459ffc94461e781e41b9f7c072829dd0d470221", 38023776)},
		{OS: "linux", Arch: "arm64", Kind: Plain, Files: pip(linuxARM64, "libonnxruntime.so.1.27.0",
			"9275ef52956228686ae47b0219f67476a1148505084bdc5571e7bf1bf69b11f2", 20001880)},
		{OS: "linux", Arch: "arm64", Kind: Plain, Files: npm("linux/arm64/libonnxruntime.so.1",
			"c36bc200e7e6c093b8abb0b34590fbdd8c52fd3fb5e33795b9523ffdde2fce0f", 20001880)},
		{OS: "darwin", Arch: "arm64", Kind: Plain, Files: pip(darwinARM, "libonnxruntime.1.27.0.dylib",
			"49422a138fff12d7fcbd544373aefbffd510e473e08e18af28a8ecc3581029bf", 29651448)},
		{OS: "darwin", Arch: "arm64", Kind: WebGPU, Files: npm("darwin/arm64/libonnxruntime.1.27.0.dylib",
			"89f692a3a1a224e4ad0b796b0e7c0bd81113b0741bfe84211eceef14d05a9e59", 38800984)},
	}
}

// cudaBuild is unproven: no machine with an NVIDIA device was at hand when the
// digests were taken.
func cudaBuild() Build {
	wheel := func(pkg, member, sum string, bytes int64) File {
		platforms := nvidia
		if pkg == "onnxruntime-gpu=="+Version {
			platforms = linuxAMD64
		}
		return File{Client: PIP, Package: pkg, Platforms: platforms, Member: member, SHA256: sum, Bytes: bytes}
	}
	const (
		cu13, cudnnLib, capi = "nvidia/cu13/lib/", "nvidia/cudnn/lib/", "onnxruntime/capi/"
		runtime, compiler    = "nvidia-cuda-runtime==13.0.96", "nvidia-cuda-nvrtc==13.0.88"
		blas, cudnn          = "nvidia-cublas==13.1.0.3", "nvidia-cudnn-cu13==9.18.1.3"
		fft, random          = "nvidia-cufft==12.0.0.61", "nvidia-curand==10.4.0.35"
		ortGPU               = "onnxruntime-gpu==" + Version
	)
	return Build{OS: "linux", Arch: "amd64", Kind: CUDA, Files: []File{
		wheel(runtime, cu13+"libcudart.so.13", "96c42e418cec19054186b9429c321603cc190bf26a18104e19408117a2a817b0", 704288),
		wheel(compiler, cu13+"libnvrtc-builtins.so.13.0", "91dcd944d01da9c0f08fff5d779db136a47f6d62bdb63bae900d2f481e92c3a2", 4380616),
		wheel(compiler, cu13+"libnvrtc.so.13", "a49e67e8e74590f1e98de55c39c6287efd3f59e3c3797464d7bbe0fe01349b11", 109338064),
		wheel(blas, cu13+"libcublasLt.so.13", "656298c804f5adbb0df930545c17911b9584ab4e5101c0eeb65d1fe881d880f8", 541595600),
		wheel(blas, cu13+"libcublas.so.13", "e70f38efabe986acd5eb683497c62f0f1730a6176ee291d9d24c6e339d1fbf86", 54177976),
		wheel(random, cu13+"libcurand.so.10", "b53732a66b302b11926e00f762e2c2ba67058347ff93cf4ae709de45e93e06da", 132698328),
		wheel(fft, cu13+"libcufft.so.12", "0933f68bb7e3bf90f86d70bc87cd2f69027f7757e89e5de5e19ec33a53fd8d3a", 286542352),
		wheel(cudnn, cudnnLib+"libcudnn_graph.so.9", "4fe80509c6d2f658104ad89141d2092061393731377426e71da600127bc8be3e", 4451728),
		wheel(cudnn, cudnnLib+"libcudnn_ops.so.9", "7286b613ec145ccf979594c06ceccffd98148be9033208f805a0295d895f7481", 39855888),
		wheel(cudnn, cudnnLib+"libcudnn_cnn.so.9", "0301e707d7cbca16ca76386e6a22edb48659f50094d46de0133f25700c76ce58", 4203904),
		wheel(cudnn, cudnnLib+"libcudnn_adv.so.9", "95c6889d0dd885585405b035bb7f9fff5ad7a85035d3109c96eb8909bfa03c52", 109169104),
		wheel(cudnn, cudnnLib+"libcudnn_heuristic.so.9", "a05dda5f051185d02f4852e195d2e8b9261995f9ed08e521295c5c99c2bc74e9", 56627736),
		wheel(cudnn, cudnnLib+"libcudnn_engines_runtime_compiled.so.9", "8be81d1f720f99f547df1371f894817b7b7a3129ae6839b9736bbe24f0fb7fb8", 29386400),
		wheel(cudnn, cudnnLib+"libcudnn_engines_precompiled.so.9", "1a564f1d5934c57045963669aa6597772ff0d90265f477e9f7d5ae8229c4f385", 237003312),
		wheel(cudnn, cudnnLib+"libcudnn.so.9", "cdef48c9ce400cab88ff040869131b69f79eac62725f399510d8423ebe2b37e6", 129240),
		wheel(ortGPU, capi+"libonnxruntime_providers_shared.so", "086ec1d5388f64153d9c63470d126693db9a182c8ce236d3a1119068471b8a0d", 14632),
		wheel(ortGPU, capi+"libonnxruntime_providers_cuda.so", "9aacf1788ceae09ca362cbf9bb3c1d69c94cec86e24310de7ad14e6b05b5bb5d", 251627280),
		wheel(ortGPU, capi+"libonnxruntime.so.1.27.0", "184096f611d6cfff75f5d4cbaf01f76d736ab10d408d335fca0c85e5a79018db", 23736336),
	}}
}
