package io.telefold.python;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Proxy;
import java.util.Arrays;
import java.util.Iterator;
import java.util.LinkedHashSet;
import java.util.Set;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.apache.flink.api.common.state.State;

/**
 * Lets the threads of others reach state as long as its task lives, and no longer: once the gate is shut what they
 * reach for throws an {@link IllegalStateException} instead of touching memory that RocksDB has freed.
 */
final class StateGate {

    private final ReadWriteLock lock = new ReentrantReadWriteLock();
    private boolean shut;

    /** {@code target} by {@code type}, and all states and iterators that it gives, behind this gate. */
    <T> T guard(Class<T> type, T target) {
        return type.cast(Proxy.newProxyInstance(
                StateGate.class.getClassLoader(),
                interfacesOf(target),
                (proxy, method, arguments) -> pass(target, method, arguments)));
    }

    /** Returns once nobody is inside. */
    void shut() {
        lock.writeLock().lock();
        shut = true;
        lock.writeLock().unlock();
    }

    private Object pass(Object target, Method method, Object[] arguments) throws Throwable {
        lock.readLock().lock();
        try {
            if (shut) {
                throw new IllegalStateException("The task has ended, and its state with it");
            }
            Object result = method.invoke(target, arguments);
            return result instanceof State || result instanceof Iterator || result instanceof Iterable
                    ? guard(Object.class, result)
                    : result;
        } catch (InvocationTargetException failure) {
            throw failure.getCause();
        } finally {
            lock.readLock().unlock();
        }
    }

    private static Class<?>[] interfacesOf(Object target) {
        Set<Class<?>> found = new LinkedHashSet<>();
        for (Class<?> type = target.getClass(); type != null; type = type.getSuperclass()) {
            found.addAll(Arrays.asList(type.getInterfaces()));
        }
        return found.stream()
                .filter(type -> Modifier.isPublic(type.getModifiers()))
                .toArray(Class<?>[]::new);
    }
}
