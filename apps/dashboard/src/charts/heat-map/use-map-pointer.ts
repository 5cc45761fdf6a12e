import { type PointerEvent, type RefObject, useEffect, useRef, useState } from 'react'

/** CSS pixels that a press may move and still be a click. */
const CLICK = 4
/** Zoom a notch of the wheel, whose notch is about 100 pixels. */
const WHEEL_ZOOM = 1.0025

/** What the pointer does to the map; places along the axes are shares, 0 to 1 from the left and from the bottom. */
export interface MapGestures {
  onHover: (place: { x: number; y: number } | null) => void
  onClick: (place: { x: number; y: number }) => void
  onSelect: (from: number, to: number) => void
  /** @param by share of the width since the press, to the right. @param done when let go */
  onPan: (by: number, done: boolean) => void
  onWheelPan: (by: number) => void
  onZoom: (at: number, factor: number) => void
}

interface Press {
  x: number
  /** A finger cannot hold Shift, and scrolls elsewhere: it pans. */
  pans: boolean
  moved: boolean
}

/** @returns handlers for the element, and the share selected while it is being dragged */
export function useMapPointer(ref: RefObject<HTMLElement | null>, gestures: MapGestures) {
  const latest = useRef(gestures)
  latest.current = gestures
  const press = useRef<Press | null>(null)
  const [selected, setSelected] = useState<{ from: number; to: number } | null>(null)

  useEffect(() => {
    const element = ref.current
    if (!element) return
    // React's wheel handlers are passive: they cannot keep the page from zooming too.
    const wheel = (event: WheelEvent) => {
      const box = element.getBoundingClientRect()
      if (event.ctrlKey || event.metaKey) {
        event.preventDefault()
        latest.current.onZoom((event.clientX - box.left) / box.width, WHEEL_ZOOM ** event.deltaY)
        return
      }
      // A plain vertical wheel scrolls the page: a map that swallowed it would be a trap.
      const across = event.shiftKey && event.deltaX === 0 ? event.deltaY : event.deltaX
      if (Math.abs(across) < 1 || (!event.shiftKey && Math.abs(across) < Math.abs(event.deltaY))) return
      event.preventDefault()
      latest.current.onWheelPan(across / box.width)
    }
    element.addEventListener('wheel', wheel, { passive: false })
    return () => element.removeEventListener('wheel', wheel)
  }, [ref])

  const placeOf = (event: PointerEvent<HTMLElement>) => {
    const box = event.currentTarget.getBoundingClientRect()
    const share = (value: number) => Math.min(1, Math.max(0, value))
    return {
      x: share((event.clientX - box.left) / box.width),
      y: share(1 - (event.clientY - box.top) / box.height),
      width: box.width,
    }
  }
  const end = () => {
    press.current = null
    setSelected(null)
  }
  const handlers = {
    onPointerDown: (event: PointerEvent<HTMLElement>) => {
      if (event.button !== 0) return
      event.currentTarget.setPointerCapture(event.pointerId)
      press.current = {
        x: placeOf(event).x,
        pans: event.shiftKey || event.pointerType === 'touch',
        moved: false,
      }
    },
    onPointerMove: (event: PointerEvent<HTMLElement>) => {
      const place = placeOf(event)
      const held = press.current
      if (held === null) return latest.current.onHover(place)
      held.moved ||= Math.abs(place.x - held.x) * place.width > CLICK
      if (!held.moved) return
      if (held.pans) latest.current.onPan(place.x - held.x, false)
      else setSelected({ from: Math.min(held.x, place.x), to: Math.max(held.x, place.x) })
    },
    onPointerUp: (event: PointerEvent<HTMLElement>) => {
      const place = placeOf(event)
      const held = press.current
      end()
      if (held === null) return
      if (!held.moved) latest.current.onClick(place)
      else if (held.pans) latest.current.onPan(place.x - held.x, true)
      else latest.current.onSelect(Math.min(held.x, place.x), Math.max(held.x, place.x))
    },
    onPointerCancel: () => {
      if (press.current?.pans && press.current.moved) latest.current.onPan(0, true)
      end()
    },
    onPointerLeave: (event: PointerEvent<HTMLElement>) => {
      // A finger leaves with every tap: what it pointed at stays until the next one.
      if (press.current === null && event.pointerType !== 'touch') latest.current.onHover(null)
    },
  }
  return { handlers, selected }
}
