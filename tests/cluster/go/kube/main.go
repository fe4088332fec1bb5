// Command kube is every Kubernetes component and kubectl in one binary: kube <component> [flags]. One link instead of
// six: that is what makes building a cluster from modules bearable. Called by the name kubectl, it is kubectl.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	if filepath.Base(os.Args[0]) == "kubectl" {
		if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
			util.CheckErr(err)
		}
		return
	}
	var command *cobra.Command
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "apiserver":
			command = apiserver.NewAPIServerCommand()
		case "controller-manager":
			command = controllermanager.NewControllerManagerCommand()
		case "scheduler":
			command = scheduler.NewSchedulerCommand()
		case "kubelet":
			command = kubelet.NewKubeletCommand(context.Background())
		case "proxy":
			command = proxy.NewProxyCommand()
		}
	}
	if command == nil {
		fmt.Fprintln(os.Stderr, "usage: kube apiserver|controller-manager|scheduler|kubelet|proxy [flags]")
		os.Exit(2)
	}
	os.Args = append(os.Args[:1], os.Args[2:]...)
	os.Exit(cli.Run(command))
}
