package check

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"testing"

	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/lint/support"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes/scheme"
)

const chartDir = root + "/deploy/helm/runa"

// chartValues are the files of values that the chart is tried with.
func chartValues(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(chartDir, "ci", "*.yaml"))
	require.NoError(t, err)
	require.Len(t, files, 3)
	return files
}

func TestChartLints(t *testing.T) {
	t.Parallel()
	for _, file := range chartValues(t) {
		values, err := chartutil.ReadValuesFile(file)
		require.NoError(t, err)
		lint := action.NewLint()
		lint.Strict, lint.Namespace = true, "runa"
		for _, m := range lint.Run([]string{chartDir}, values).Messages {
			require.Less(t, m.Severity, support.WarningSev, "%s: %s: %v", file, m.Path, m.Err)
		}
	}
}

// TestChartRefusesValues: what must be set, what would be lost in silence, and what opens a door.
func TestChartRefusesValues(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change map[string]any
		says   string
	}{
		"no image":         {map[string]any{"image": map[string]any{"repository": ""}}, "repository"},
		"floating tag":     {map[string]any{"image": map[string]any{"tag": "latest"}}, "tag"},
		"no secret":        {map[string]any{"existingSecret": ""}, "existingSecret"},
		"no engine":        {map[string]any{"temporal": map[string]any{"address": ""}}, "temporal.address"},
		"two engines":      {map[string]any{"temporal": map[string]any{"enabled": true}}, "temporal.enabled"},
		"unknown value":    {map[string]any{"replicaCount": 3}, "replicaCount"},
		"secret in plain":  {map[string]any{"settings": map[string]any{"RUNA_API_KEY": "x"}}, "RUNA_API_KEY"},
		"cut drain":        {map[string]any{"terminationGracePeriodSeconds": 30}, "terminationGracePeriodSeconds"},
		"unknown queue":    {map[string]any{"workers": []any{map[string]any{"name": "a", "queues": []any{"mail"}}}}, "queues"},
		"no memory limit":  {map[string]any{"api": map[string]any{"resources": map[string]any{"limits": map[string]any{"memory": nil}}}}, "memory"},
		"no worker at all": {map[string]any{"workers": []any{}}, "workers"},
	} {
		values, err := chartutil.ReadValuesFile(filepath.Join(chartDir, "ci", "minimal.yaml"))
		require.NoError(t, err)
		_, err = renderChart(t, chartutil.CoalesceTables(c.change, values))
		require.ErrorContains(t, err, c.says, name)
	}
}

// renderChart is what `helm template` prints, without the notes.
func renderChart(t *testing.T, values map[string]any) ([]byte, error) {
	t.Helper()
	chart, err := loader.Load(chartDir)
	require.NoError(t, err)
	release := chartutil.ReleaseOptions{Name: "prod", Namespace: "runa", IsInstall: true, Revision: 1}
	all, err := chartutil.ToRenderValues(chart, values, release, nil)
	if err != nil {
		return nil, err
	}
	files, err := engine.Render(chart, all)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	for name, text := range files {
		if filepath.Ext(name) == ".yaml" {
			out.WriteString("\n---\n" + text)
		}
	}
	return out.Bytes(), nil
}

// objects decodes what a file of values renders, strictly: an unknown or
// doubled field of any object is an error.
func objects(t *testing.T, file string) []runtime.Object {
	t.Helper()
	values, err := chartutil.ReadValuesFile(file)
	require.NoError(t, err)
	text, err := renderChart(t, values)
	require.NoError(t, err)
	types := runtime.NewScheme()
	require.NoError(t, scheme.AddToScheme(types))
	require.NoError(t, monitoring.AddToScheme(types))
	decoder := serializer.NewCodecFactory(types, serializer.EnableStrict).UniversalDeserializer()
	var all []runtime.Object
	for documents := yaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(text))); ; {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return all
		}
		require.NoError(t, err)
		if !bytes.Contains(document, []byte("apiVersion:")) { // what an unused file leaves
			continue
		}
		object, _, err := decoder.Decode(document, nil, nil)
		require.NoError(t, err, "%s", document)
		all = append(all, object)
	}
}

// eachPod runs a check on the pods of every deployment and job of every file of values.
func eachPod(t *testing.T, check func(t *testing.T, pod corev1.PodTemplateSpec)) {
	t.Helper()
	for _, file := range chartValues(t) {
		pods := 0
		for _, object := range objects(t, file) {
			switch o := object.(type) {
			case *appsv1.Deployment:
				t.Run(filepath.Base(file)+" "+o.Name, func(t *testing.T) { check(t, o.Spec.Template) })
			case *batchv1.Job:
				t.Run(filepath.Base(file)+" "+o.Name, func(t *testing.T) { check(t, o.Spec.Template) })
			default:
				continue
			}
			pods++
		}
		require.GreaterOrEqual(t, pods, 4)
	}
}

func TestChartPodsAreLocked(t *testing.T) {
	t.Parallel()
	eachPod(t, func(t *testing.T, pod corev1.PodTemplateSpec) {
		require.True(t, *pod.Spec.SecurityContext.RunAsNonRoot)
		require.Equal(t, corev1.SeccompProfileTypeRuntimeDefault, pod.Spec.SecurityContext.SeccompProfile.Type)
		require.False(t, *pod.Spec.AutomountServiceAccountToken)
		require.False(t, *pod.Spec.EnableServiceLinks, "variables of services look like settings")
		for _, c := range pod.Spec.Containers {
			require.False(t, *c.SecurityContext.AllowPrivilegeEscalation)
			require.True(t, *c.SecurityContext.ReadOnlyRootFilesystem)
			require.Equal(t, []corev1.Capability{"ALL"}, c.SecurityContext.Capabilities.Drop)
		}
	})
}

func TestChartPodsAreBoundedAndWatched(t *testing.T) {
	t.Parallel()
	eachPod(t, func(t *testing.T, pod corev1.PodTemplateSpec) {
		require.Greater(t, *pod.Spec.TerminationGracePeriodSeconds, int64(35))
		for _, c := range pod.Spec.Containers {
			require.False(t, c.Resources.Limits.Memory().IsZero())
			require.False(t, c.Resources.Requests.Cpu().IsZero())
			if pod.Spec.RestartPolicy == corev1.RestartPolicyNever {
				continue
			}
			require.Equal(t, "/livez", c.LivenessProbe.HTTPGet.Path)
			require.Equal(t, "/livez", c.StartupProbe.HTTPGet.Path)
			require.Equal(t, "/readyz", c.ReadinessProbe.HTTPGet.Path)
			for _, probe := range []*corev1.Probe{c.LivenessProbe, c.StartupProbe, c.ReadinessProbe} {
				require.True(t, slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.Name == probe.HTTPGet.Port.StrVal }))
			}
			require.NotEmpty(t, pod.Spec.TopologySpreadConstraints)
		}
	})
}

// TestChartKeepsSecrets: secrets come from the secret only, and only to who needs them.
func TestChartKeepsSecrets(t *testing.T) {
	t.Parallel()
	secret := []string{
		"RUNA_DATABASE_URL", "RUNA_ELASTICSEARCH_URL", "RUNA_CLICKHOUSE_URL", "RUNA_KEYSET", "RUNA_API_KEY", "RUNA_OPERATOR_KEY", "RUNA_TEMPORAL_API_KEY",
	}
	eachPod(t, func(t *testing.T, pod corev1.PodTemplateSpec) {
		var seen []string
		for _, env := range pod.Spec.Containers[0].Env {
			require.NotContains(t, seen, env.Name)
			seen = append(seen, env.Name)
			if slices.Contains(secret, env.Name) {
				require.Empty(t, env.Value)
				require.Equal(t, "runa", env.ValueFrom.SecretKeyRef.Name)
				require.Equal(t, env.Name, env.ValueFrom.SecretKeyRef.Key)
			}
		}
		if pod.Spec.Containers[0].Args[0] == "worker" {
			require.NotContains(t, seen, "RUNA_API_KEY")
			require.NotContains(t, seen, "RUNA_OPERATOR_KEY")
		}
	})
	for _, file := range chartValues(t) {
		for _, object := range objects(t, file) {
			require.IsNotType(t, &corev1.Secret{}, object)
		}
	}
}

// TestChartSelectsWhatItMakes: every service, budget and monitor finds something, and services find ports.
func TestChartSelectsWhatItMakes(t *testing.T) {
	t.Parallel()
	for _, file := range chartValues(t) {
		all := objects(t, file)
		for _, object := range all {
			switch o := object.(type) {
			case *corev1.Service:
				require.NotEmpty(t, podsOf(all, labels.SelectorFromSet(o.Spec.Selector), o.Spec.Ports[0].TargetPort.StrVal), o.Name)
			case *policyv1.PodDisruptionBudget:
				require.Len(t, podsOf(all, selector(t, o.Spec.Selector), ""), 1, o.Name)
			case *appsv1.Deployment:
				require.Len(t, podsOf(all, selector(t, o.Spec.Selector), ""), 1, o.Name)
			case *monitoring.ServiceMonitor:
				require.Len(t, servicesOf(all, selector(t, &o.Spec.Selector), o.Spec.Endpoints[0].Port), 1, o.Name)
			}
		}
	}
}

func selector(t *testing.T, s *metav1.LabelSelector) labels.Selector {
	t.Helper()
	found, err := metav1.LabelSelectorAsSelector(s)
	require.NoError(t, err)
	require.False(t, found.Empty())
	return found
}

// podsOf are the deployments whose pods are selected and, if it is named, have the port.
func podsOf(all []runtime.Object, s labels.Selector, port string) []string {
	var names []string
	for _, object := range all {
		d, ok := object.(*appsv1.Deployment)
		if !ok || !s.Matches(labels.Set(d.Spec.Template.Labels)) {
			continue
		}
		has := func(p corev1.ContainerPort) bool { return p.Name == port }
		if port == "" || slices.ContainsFunc(d.Spec.Template.Spec.Containers[0].Ports, has) {
			names = append(names, d.Name)
		}
	}
	return names
}

func servicesOf(all []runtime.Object, s labels.Selector, port string) []string {
	var names []string
	for _, object := range all {
		service, ok := object.(*corev1.Service)
		if ok && s.Matches(labels.Set(service.Labels)) && service.Spec.Ports[0].Name == port {
			names = append(names, service.Name)
		}
	}
	return names
}

// TestChartScales: an autoscaler alone says how many there are.
func TestChartScales(t *testing.T) {
	t.Parallel()
	all := objects(t, filepath.Join(chartDir, "ci", "everything.yaml"))
	replicas := map[string]*int32{}
	for _, object := range all {
		if d, ok := object.(*appsv1.Deployment); ok {
			replicas[d.Name] = d.Spec.Replicas
		}
	}
	require.Nil(t, replicas["prod-runa-api"])
	require.Nil(t, replicas["prod-runa-worker-turns"])
	require.EqualValues(t, 2, *replicas["prod-runa-worker-crawls"])
}
