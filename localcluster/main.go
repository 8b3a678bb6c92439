// Localcluster is a Kubernetes control plane for one machine in one file: etcd, kube-apiserver and
// kube-controller-manager, each the real program under its own flags, chosen by the first argument.
//
// It holds no default of its own: whoever starts it gives every flag, so that the same command lines serve
// separately installed binaries (KUBEBUILDER_ASSETS).
package main

import (
	"fmt"
	"io"
	"os"
	"sort"
	"strings"

	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
)

const exitUsage = 2

// programs maps a subcommand to what runs it; the result is the exit code of the process.
var programs = map[string]func(args []string) int{
	"etcd": func(args []string) int {
		etcdmain.Main(args)
		return 0
	},
	"kube-apiserver": func([]string) int {
		return cli.Run(apiserver.NewAPIServerCommand())
	},
	"kube-controller-manager": func([]string) int {
		return cli.Run(controllermanager.NewControllerManagerCommand())
	},
}

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, out, errors io.Writer) int {
	if len(args) == 0 {
		fmt.Fprintf(errors, "localcluster: no program named\n\n%s", usage())
		return exitUsage
	}
	if args[0] == "help" || args[0] == "--help" || args[0] == "-h" {
		fmt.Fprint(out, usage())
		return 0
	}
	program, known := programs[args[0]]
	if !known {
		fmt.Fprintf(errors, "localcluster: unknown program %q\n\n%s", args[0], usage())
		return exitUsage
	}
	if err := followParent(os.Getenv(parentVariable)); err != nil {
		fmt.Fprintf(errors, "localcluster: %v\n", err)
		return exitUsage
	}
	// The Kubernetes commands read os.Args themselves and show its first element in their messages.
	os.Args = args
	return program(args)
}

func usage() string {
	names := make([]string, 0, len(programs))
	for name := range programs {
		names = append(names, name)
	}
	sort.Strings(names)
	return fmt.Sprintf(`usage: localcluster PROGRAM [flags]

PROGRAM is one of %s.
"localcluster PROGRAM --help" lists the flags of one.
With %s=PID in the environment it ends when PID is no longer its parent.
`, strings.Join(names, ", "), parentVariable)
}
